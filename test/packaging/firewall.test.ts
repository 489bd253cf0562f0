/** The firewall that is shipped, in force on the server's side of a network: what has to pass passes, and what shall not does not. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import {
  BEFORE,
  BEHIND,
  NEAR_HOST,
  type NetworkPlace,
  NETWORKS_MISSING,
  OUTER_HOSTS,
  startNetwork,
  type TestNetwork,
} from "../support/netns.ts";
import { runProcess } from "../support/process.ts";
import { startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";

const RULES = join(import.meta.dir, "..", "..", "packaging", "nftables", "spooky.nft");
const nft = Bun.which("nft", { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` });
const python = Bun.which("python3");
const lack =
  NETWORKS_MISSING ??
  (process.getuid?.() === 0 ? null : "the firewall: only root can") ??
  (nft === null || python === null ? "the firewall: nft or python3 is not installed" : null) ??
  (aioquicPython === null ? AIOQUIC_MISSING : null);

async function ran(place: NetworkPlace, ...command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProcess({ command: place.command(command) });
  if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}\n${stderr}`);
  return stdout;
}

/** One request, of the client's first address to the server's first one. */
async function status({ client, ...hosts }: TestNetwork, family: "" | "6"): Promise<number | null> {
  const [local_host, host] = [hosts[`clientHosts${family}`][0] ?? "", hosts[`serverHosts${family}`][0]];
  const steps = [{ do: "request", path: "/small" }] as const;
  const { exchanges } = await runAioquicOnce({ port: 443, host, local_host, steps }, client);
  return exchanges[0]?.status ?? null;
}

/** Sends what is too large for the path from port 443 until the kernel knows so from a router, 20 times at most. The last datagram's fate. */
const SENDS = `
import errno, socket, sys, time
host = sys.argv[1]
six = ":" in host
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("::" if six else "0.0.0.0", 443))
# IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, to *_PMTUDISC_DO: never cut, as QUIC wants it.
s.setsockopt(*((41, 23, 2) if six else (0, 10, 2)))
said = "sent"
for _ in range(20):
    try:
        s.sendto(bytes(1400), (host, 40000))
    except OSError as thrown:
        said = errno.errorcode[thrown.errno]
        break
    time.sleep(0.05)
print(said)
`;

/** Whether somebody answers a TCP connection at all. */
const KNOCKS = `
import select, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setblocking(False)
s.connect_ex((sys.argv[1], int(sys.argv[2])))
print("answered" if select.select([], [s], [], 0.5)[1] else "silence")
`;

const NEAR6 = ["fd77:1::11", "fd77:1::1"] as const;
const FAR6 = ["fd77:2::1", "fd77:2::11"] as const;

/** The middle as a router whose line to the client carries 1,280 bytes. */
async function route({ client, middle, server }: TestNetwork): Promise<void> {
  for (const [place, address, device] of [
    [client, NEAR6[0], "near"],
    [middle, NEAR6[1], "near"],
    [middle, FAR6[1], "far"],
    [server, FAR6[0], "far"],
  ] as const)
    await ran(place, "ip", "addr", "add", `${address}/64`, "dev", device, "nodad");
  await ran(middle, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
  await ran(middle, "ip", "link", "set", "near", "mtu", "1280");
  const outer = must(OUTER_HOSTS[0], "there is an outer address");
  await ran(server, "ip", "route", "add", `${BEFORE}/32`, "via", outer);
  await ran(server, "ip", "route", "add", `${NEAR6[0]}/128`, "via", FAR6[1]);
  await ran(client, "ip", "route", "add", `${BEHIND}/32`, "via", NEAR_HOST);
  await ran(client, "ip", "route", "add", `${FAR6[0]}/128`, "via", NEAR6[1]);
}

describe.skipIf(lack !== null)(lack ?? "the firewall", () => {
  const scene = async () => {
    const network = await startNetwork();
    await route(network);
    return network;
  };
  const load = (network: TestNetwork, rules = RULES) => ran(network.server, nft ?? "", "--file", rules);

  test("lets QUIC pass over IPv4 and IPv6 without tracking it, and nobody else's TCP", async () => {
    const network = await scene();
    const { server, client, serverHosts, clientHosts } = network;
    const backend = await network.backend();
    const health = { address: "::", port: 8080 };
    const proxy = await startProxy({
      ...{ pools: [{ prefix: "/", backends: [backend.address] }], place: server, address: "::", port: 443 },
      extra: { observability: { metrics: { enabled: false }, health } },
    });
    const knock = () => ran(client, python ?? "", "-c", KNOCKS, serverHosts[0], "8080");
    expect(await knock()).toBe("answered");
    await load(network);
    expect([await status(network, ""), await status(network, "6")]).toEqual([200, 200]);
    expect(await knock()).toBe("silence");
    // What is tracked is TCP between proxy and backend.
    const table = await ran(server, "cat", "/proc/net/nf_conntrack").catch(() => "");
    expect(table).not.toContain("dport=443 ");
    // Whoever administers it is let in.
    const text = readFileSync(RULES, "utf8").replaceAll("10.0.0.0/24", `${must(clientHosts[0], "one")}/24`);
    await load(network, writeTemp(tempFolder("rules"), "spooky.nft", text));
    expect(await knock()).toBe("answered");
    expect((await proxy.stop()).code).toBe(0);
  });

  test("hears a router that says how large a datagram may be, of flows that are not tracked", async () => {
    const network = await scene();
    await load(network);
    for (const host of [BEFORE, NEAR6[0]])
      expect([host, await ran(network.server, python ?? "", "-c", SENDS, host)]).toEqual([host, "EMSGSIZE"]);
    // So that this can fail: with the order in which such rules are mostly written nothing is heard.
    const other = must(/\n {4}ct state invalid drop/.exec(readFileSync(RULES, "utf8")), "there is such a rule")[0];
    const text = readFileSync(RULES, "utf8").replace(other, "").replace("\n    icmp type", `${other}\n    icmp type`);
    await ran(network.server, "ip", "route", "flush", "cache");
    await ran(network.server, "ip", "-6", "route", "flush", "cache");
    await load(network, writeTemp(tempFolder("rules"), "spooky.nft", text));
    expect(await ran(network.server, python ?? "", "-c", SENDS, BEFORE)).toBe("sent");
  });

  test("takes what stands in its comments, for certificates and for keepalived", async () => {
    const network = await scene();
    const text = readFileSync(RULES, "utf8").replaceAll(/# (Certificates|keepalived)[^:]*: /g, "");
    expect(text.match(/dport 80 accept|vrrp accept/g)).toHaveLength(2);
    await load(network, writeTemp(tempFolder("rules"), "spooky.nft", text));
  });
});
