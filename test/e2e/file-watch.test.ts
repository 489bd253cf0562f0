/** Certificates that change on the disk are served without anybody asking for it, and wrong ones change nothing. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { testLeaf } from "../support/certs.ts";
import { certificateFiles } from "../support/certs.ts";
import { startProxy } from "../support/proxy.ts";
import { logLine } from "./log-lines.ts";
import { edit, reload, reweigh } from "./reloads.ts";

test.each(["off", "auto"] as const)(
  "a certificate is served when its key has come too (supervisor: %s)",
  async (supervisor) => {
    const [first, second] = [await testLeaf({}), await testLeaf({})];
    const certificate = certificateFiles(first);
    const extra = {
      control: { socket: "off", watch: "certificates", watch_interval_ms: 50 },
      ...(supervisor === "auto" ? { workers: 2 } : {}),
    };
    const pools = [{ prefix: "/", backends: ["http://127.0.0.1:1"] }];
    const proxy = await startProxy({ pools, certificate, supervisor, extra });
    writeFileSync(certificate.certFile, second.certPem);
    const waiting = await logLine(proxy, {
      msg: "files have changed and do not go together yet: what was read before stays",
    });
    expect(String(waiting["reason"])).toContain("is not the key of");
    writeFileSync(certificate.keyFile, second.keyPem);
    const changed = await logLine(proxy, { msg: "files have changed: reload" });
    expect(changed["files"]).toBe(`${certificate.certFile}, ${certificate.keyFile}`);
    expect(await logLine(proxy, { msg: "reload done" })).toMatchObject({ how: "in_place" });
  },
);

test.each(["off", "auto"] as const)(
  "a reload may begin to look at files, and end it (supervisor: %s)",
  async (supervisor) => {
    const pools = [{ prefix: "/", backends: [{ address: "http://127.0.0.1:1", weight: 1 }] }];
    const watching = (watch: string): object => ({ control: { socket: "off", watch, watch_interval_ms: 50 } });
    const workers = supervisor === "auto" ? { workers: 1 } : {};
    const proxy = await startProxy({ pools, supervisor, extra: { ...watching("off"), ...workers } });
    reweigh(proxy, 2);
    edit(proxy, (document) => Object.assign(document, watching("all")));
    expect(await reload(proxy)).toMatchObject({ generation: 2 });
    reweigh(proxy, 3);
    await logLine(proxy, { msg: "files have changed: reload" });
    await logLine(proxy, { msg: "reload done", generation: 3 });
    edit(proxy, (document) => Object.assign(document, watching("off")));
    await logLine(proxy, { msg: "reload done", generation: 4 });
    reweigh(proxy, 4);
    // Had anybody looked at the file, there would be nothing left to do.
    expect(await reload(proxy)).toMatchObject({ generation: 5, how: "in_place" });
  },
);
