/** The program as a package has installed it in a root of its own: what an administrator does with it, without a service manager. */
import { expect } from "bun:test";
import { copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { testCertificateFiles } from "../support/certs.ts";
import type { OwnRoot } from "../support/own-root.ts";
import { type RunningProcess, startProcess } from "../support/process.ts";
import { listeningAddress } from "../support/proxy.ts";
import { askOverHttp3 } from "./served.ts";

export const CONFIG = "/etc/spooky/config.yaml";
/** What the unit gives: the user, ports below 1024. */
export const AS_SERVICE: readonly string[] = [
  ...["setpriv", "--reuid=spooky", "--regid=spooky", "--init-groups"],
  ...["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service", "/usr/bin/spooky"],
];
const COMMENT = "# This line is the administrator's.\n";

/** What an administrator does: a certificate, the backend's address, a remark. */
export async function configure(root: OwnRoot, backend: string): Promise<void> {
  const { certFile, keyFile } = await testCertificateFiles();
  copyFileSync(certFile, root.path("/etc/spooky/certs/fullchain.pem"));
  copyFileSync(keyFile, root.path("/etc/spooky/certs/privkey.pem"));
  await root.run(["chgrp", "-R", "spooky", "/etc/spooky/certs"]);
  await root.run(["chmod", "640", "/etc/spooky/certs/fullchain.pem", "/etc/spooky/certs/privkey.pem"]);
  const shipped = readFileSync(root.path(CONFIG), "utf8");
  expect(shipped).toContain('"127.0.0.1:3000"');
  writeFileSync(root.path(CONFIG), COMMENT + shipped.replace("127.0.0.1:3000", backend));
}

/** Starts it as the unit does, and asks it. */
export async function serves(root: OwnRoot): Promise<RunningProcess> {
  expect(await root.run([...AS_SERVICE, "check"])).toMatchObject({ code: 0 });
  await root.run(["install", "-d", "-m", "750", "-o", "spooky", "-g", "spooky", "/run/spooky"]);
  const env = { RUNTIME_DIRECTORY: "/run/spooky" };
  const service = startProcess({ command: root.command([...AS_SERVICE, "--config", CONFIG], { env }) });
  expect((await listeningAddress(service)).port).toBe(443);
  expect(await askOverHttp3(root, "/before")).toBe("200 backend GET /before");
  return service;
}

/** Debian's package manager in the root, asking nothing. A last option that is a file of this machine is brought there. */
export async function dpkg(
  root: OwnRoot,
  ...options: string[]
): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const file = options.at(-1) ?? "";
  const isFile = file.endsWith(".deb") && statSync(file).isFile();
  if (isFile) copyFileSync(file, root.path("/run/package.deb"));
  const inside = [...options.slice(0, -1), isFile ? "/run/package.deb" : file];
  return root.run(["dpkg", ...inside], { env: { DEBIAN_FRONTEND: "noninteractive" } });
}

/** How often it was renewed, and one more. */
export async function generation(root: OwnRoot): Promise<number> {
  const { stdout } = await root.run([...AS_SERVICE, "status", "--json"]);
  return JSON.parse(stdout).generation;
}

/** Who owns what, and with which rights: what only the service's user may read or write. */
export async function ownership(root: OwnRoot): Promise<readonly string[]> {
  const paths = ["/etc/spooky", "/etc/spooky/certs", CONFIG, "/var/log/spooky", "/var/lib/spooky"];
  return (await root.run(["stat", "--format=%n %U:%G %a", ...paths])).stdout.split("\n");
}

/** All that is there by the program's name, or in its folders. */
export async function remains(root: OwnRoot): Promise<readonly string[]> {
  const { stdout } = await root.run(["find", "/", "-xdev", "-name", "*spooky*", "-o", "-xdev", "-path", "*/spooky/*"]);
  return stdout.split("\n").sort();
}

export const OWNERSHIP: readonly string[] = [
  "/etc/spooky root:spooky 750",
  "/etc/spooky/certs root:spooky 750",
  `${CONFIG} root:spooky 640`,
  "/var/log/spooky spooky:spooky 750",
  "/var/lib/spooky spooky:spooky 750",
];
/** What no package brings, and so none takes away. */
export const CERTIFICATES: readonly string[] = [
  "/etc/spooky",
  "/etc/spooky/certs",
  "/etc/spooky/certs/fullchain.pem",
  "/etc/spooky/certs/privkey.pem",
];
