/** The keys of the program as a whole: its processes, how it is spoken to, its fleet, and what it shows of its connections. */
import { LIMITS } from "../core/limits.ts";
import {
  choice,
  flag,
  integer,
  integerOr,
  list,
  map,
  milliseconds,
  optionalText,
  standardText,
  text,
} from "./words.ts";

/** `workers`. */
export const WORKERS = integerOr("auto", [1, LIMITS.workersMax], "auto", {
  aliases: ["performance.worker_threads"],
  description:
    "Processes that serve; a supervisor watches them and replaces them without loss. `auto`: one for each core that this program may use.",
});

/** `supervisor`. */
export const SUPERVISOR = choice(["auto", "off"], {
  default: "auto",
  description:
    "`off`: one process that serves, without upgrades and reloads that lose nothing; for places that replace whole containers. `auto`: a supervisor wherever " +
    "the system can steer packets to workers.",
});

/** `control`. */
export const ControlSchema = map(
  {
    socket: standardText(
      "control-socket",
      "auto",
      "Unix socket for `spooky upgrade`, `spooky reload` and `spooky status`, for this user alone. `auto`: `control.sock` in $RUNTIME_DIRECTORY, " +
        "/run/spooky or $XDG_RUNTIME_DIR/spooky. `off`: none; signals still work.",
    ),
    watch: choice(["off", "certificates", "all"], {
      default: "certificates",
      description:
        "Which files are looked at again and again, and cause a reload when they have changed: those of certificates, keys and authorities, or the " +
        "configuration too. What is wrong with them leaves what is there as it is, and is tried again.",
    }),
    watch_interval_ms: milliseconds(5000, "From one such look to the next."),
  },
  { default: {}, description: "How a running program is told what to do." },
);

/** Tickets are good for two days at most, whatever their key is. */
const KEY_ROTATION_MS_MAX = 2 * 24 * 60 * 60 * 1000;

/** `cluster`. */
export const ClusterSchema = map(
  {
    key_file: optionalText(
      "file",
      "Keys that all nodes share, so that tokens and session tickets of one are good at every other. For this user and at most its group to " +
        "read. Left out: random keys that end with the process.",
    ),
    key_rotation_ms: integer([1000, KEY_ROTATION_MS_MAX], 43_200_000, {
      unit: "ms",
      description:
        "So long random keys make tokens and session tickets, which are taken for as long again; then other keys do, in all workers at once. Keys of a " +
        "`key_file` change when the file does.",
    }),
    node_id: optionalText(
      "node-id",
      "Hexadecimal digits, two for each byte, 1 to 8 bytes: this node's own number. Needed with `key_file` and with `quic-lb`; no two nodes have " +
        "the same.",
    ),
    connection_ids: choice(["plain", "quic-lb"], {
      default: "plain",
      description:
        "`quic-lb`: ids from which load balancers read the node (draft-ietf-quic-load-balancers-21), if they have the key or the ids are open.",
    }),
    quic_lb_encrypted: flag(
      true,
      "Is the node's id in a connection id encrypted, with a key that is derived from `key_file` and that the balancer has, too?",
    ),
    quic_lb_nonce_bytes: integer([4, 12], 8, {
      unit: "bytes",
      description:
        "Nonce in a QUIC-LB id: 6 or more when encrypted, and together with the node's id 13 at most. A balancer has to know it.",
    }),
  },
  { default: {}, description: "Several nodes behind one layer-4 balancer." },
);

/** `debug`. */
export const DebugSchema = map(
  {
    keylog_file: optionalText(
      "file",
      "File to which TLS secrets of the chosen connections are added (SSLKEYLOGFILE). Whoever reads it reads their traffic; it must be closed to others (mode 600).",
    ),
    qlog_folder: optionalText(
      "folder",
      "Folder for one qlog file (JSON-SEQ, `ID.sqlog`, mode 600) for each chosen connection. Each ends at 64 MiB, and each process writes 1 GiB in all.",
    ),
    clients: list(text("cidr"), {
      default: [],
      expected: "a list of networks",
      description: "Connections of these clients are chosen.",
    }),
    sample_per_million: integer([0, 1_000_000], 0, {
      unit: "connections",
      description: "So many of a million connections are chosen, whoever their client is.",
    }),
  },
  { default: {}, description: "A look into connections; off unless clients or a share are named." },
);
