/** The configuration of `spooky demo`: the text of a file like any other, with its certificate in a private temporary folder. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { loadConfig } from "../config/load.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { assert } from "../core/assert.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import type { DemoBackend, DemoBackends } from "./demo-backends.ts";

/** Files of a certificate that lives as long as the process. */
export interface DemoCertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** What a client trusts (`curl --cacert`). */
  readonly caFile: string;
  /** Deletes folder and files. May be called twice; called at the process's exit anyway. */
  remove(): void;
}

/** Where the demo listens and what stands behind it. */
export interface DemoSettings {
  /** An IP literal without brackets. */
  readonly address: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  readonly files: Pick<DemoCertificateFiles, "certFile" | "keyFile" | "caFile">;
  readonly backends: Pick<DemoBackends, "secure" | "plain">;
}

/**
 * Writes a certificate into a new folder that only this user may enter (0700). Takes the first place that can be written to,
 * since the temporary folder of a hardened service may be read-only. Throws `ProxyError` CERTIFICATE when there is none.
 */
export function writeDemoCertificate(certificate: {
  readonly certPem: string;
  readonly keyPem: string;
  readonly caPem: string;
}): DemoCertificateFiles {
  const folder = makePrivateFolder();
  const write = (name: string, pem: string): string => {
    const path = join(folder, name);
    writeFileSync(path, pem, { mode: 0o600 });
    return path;
  };
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  return {
    certFile: write("cert.pem", certificate.certPem),
    keyFile: write("key.pem", certificate.keyPem),
    caFile: write("ca.pem", certificate.caPem),
    remove,
  };
}

/** The demo's configuration as a snapshot, made the way any file is. */
export function demoSnapshot(settings: DemoSettings): Snapshot {
  const result = loadConfig(demoConfigText(settings), "demo");
  assert("snapshot" in result, "the demo's own configuration is valid");
  return result.snapshot;
}

/** The same as the text of a configuration file: the demo's three pools, as a user would write them. */
export function demoConfigText(settings: DemoSettings): string {
  const { address, port, files, backends } = settings;
  const [first, second] = backends.plain;
  return `# What \`spooky demo\` serves.
version: 1
listen:
  protocol: http3
  address: ${quoted(address)}
  port: ${port}
  tls:
    cert: ${quoted(files.certFile)}
    key: ${quoted(files.keyFile)}
upstream_tls:
  ca_file: ${quoted(files.caFile)}
upstream:
${poolText("api_pool", "/api", "consistent-hash", [backends.secure, first, second])}
${poolText("static_pool", "/static", "round-robin", [first, second])}
${poolText("default_pool", "/", "random", [backends.secure, first, second])}
log:
  level: info
`;
}

function poolText(name: string, prefix: string, balancing: string, backends: readonly DemoBackend[]): string {
  const list = backends.map(
    ({ id, address }) => `      - id: ${quoted(id)}
        address: ${quoted(address)}
        health_check:
          path: "/health"
          interval: 5000`,
  );
  return `  ${name}:
    load_balancing:
      type: ${quoted(balancing)}
    route:
      path_prefix: ${quoted(prefix)}
    backends:
${list.join("\n")}`;
}

/** A JSON string is a YAML string. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Undefined for a user whom the system does not know, as in a container: asked for his home, the runtime throws. */
function homeFolder(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

function makePrivateFolder(): string {
  const refusals: string[] = [];
  for (const place of [tmpdir(), "/dev/shm", process.env["XDG_RUNTIME_DIR"], homeFolder(), "."]) {
    if (place === undefined || place === "") continue;
    try {
      const folder = mkdtempSync(join(place, "spooky-demo-"));
      chmodSync(folder, 0o700);
      return folder;
    } catch (thrown) {
      refusals.push(messageOf(thrown));
    }
  }
  throw new ProxyError("CERTIFICATE", `no folder for the demo's certificate: ${refusals.join("; ")}`, {
    remedy: "set TMPDIR to a folder that can be written to",
  });
}
