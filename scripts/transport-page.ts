/** The page that says what the transport does with whatever is wrong: made from the table that the adversarial suite plays. */
import { CODES, PROBES } from "../test/adversary/transport-table.ts";

type Line = readonly [row: number, stimulus: string, sent: string, decides: string, gap: string];

/** Rows that the suite plays with cases of their own. */
const OTHERS: readonly Line[] = [
  [53, "unknown version, datagram of 1,200 bytes or more", "Version Negotiation: version 1", "Spooky", ""],
  [53, "unknown version, a shorter datagram", "nothing, counted", "Spooky", ""],
  [54, "Initial in a datagram below 1,200 bytes", "nothing, counted", "Spooky", ""],
  [55, "first destination id below 8 bytes", "nothing, counted", "Spooky", ""],
  [
    56,
    "Initials that do not open with their keys; lengths past the end; random bytes",
    "nothing, counted; no state is kept",
    "Spooky, when quiche finds nothing authentic",
    "",
  ],
  [
    57,
    "packets for other connections behind a good Initial",
    "the Initial is answered, the others are passed over",
    "quiche",
    "",
  ],
  [58, "datagrams of no bytes", "nothing, counted", "Spooky", ""],
  [
    59,
    "ClientHello in two datagrams, in any order, repeated, late",
    "one connection, one id",
    "Spooky (ids), quiche (order)",
    "",
  ],
  [
    60,
    "a client that is silent after its first flight",
    "at most three times its bytes",
    "Spooky",
    "none left: quiche 0.30 alone does not count its padding, and sent 4.8 times a hello's bytes in six seconds",
  ],
  [
    60,
    "a handshake that is not done in `performance.handshake_timeout_ms`",
    "0x00 NO_ERROR, as far as the client's bytes allow; freed",
    "Spooky",
    "",
  ],
  [65, "nothing for `quic_max_idle_timeout_ms`", "nothing (RFC 9000 10.1); freed, counted", "quiche", ""],
  [66, "a tenth lost, repeated, out of order", "whole bodies", "quiche", ""],
  [67, "key updates, ChaCha20, a resumed session", "answered", "quiche", ""],
  [
    71,
    "over `max_concurrent_connections` or `performance.max_connections_per_ip`, or during a drain",
    "0x02 CONNECTION_REFUSED in an Initial of at most 51 bytes; over the rate of such answers nothing",
    "Spooky",
    "",
  ],
  [
    90,
    "over `performance.new_connections_per_sec` or `performance.max_handshakes`",
    "nothing: the client sends it again",
    "Spooky",
    "",
  ],
];

const INTRODUCTION = `# What the transport answers

What a client may do wrong below HTTP/3, what is then sent, and who decides it. Rows are those of \`test/adversary/rows.ts\`; each line is
played against the running proxy by the adversarial suite, which asserts what stands here. Codes are those of RFC 9000 20.1. Where the last
column says something, the answer is not what the RFC asks for.

What quiche finds wrong in a client's first packets, before it has said anything itself, it says in a packet of type Handshake, whose
keys such a client cannot have. Spooky therefore sends the code itself, in an Initial.

Two more that are allowed and good to know: a frame type that is written longer than it need be is read as if it were not (RFC 9000 12.4
leaves the choice), and a client whose \`initial_max_data\` leaves no room for our control streams gets H3_INTERNAL_ERROR (0x102).
`;

/** The page, before it is formatted. */
export function transportPage(): string {
  const probes = PROBES.map(({ row, stimulus, sent, gap = "" }): Line => {
    return [
      row,
      stimulus,
      sentText(sent),
      row === 48 ? "quiche; Spooky sends it" : "quiche",
      gap === "" ? "" : `required: ${gap}`,
    ];
  });
  const lines = [...probes, ...OTHERS].map((line) => `| ${line.join(" | ")} |`);
  return `${INTRODUCTION}\n| Row | Stimulus | What is sent | Who decides | Known gap |\n|---|---|---|---|---|\n${lines.join("\n")}\n`;
}

function sentText(code: number | null): string {
  if (code === null) return "nothing: the connection goes on";
  return `0x${code.toString(16).padStart(2, "0")} ${CODES[code] ?? ""}`;
}
