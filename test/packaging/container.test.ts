/**
 * The container image, as far as it can be seen without a container engine: its Dockerfile by a linter, its composition by the library of Docker
 * Compose, and its root laid out and run as an engine would. `docker build` itself needs an engine and images of a registry that tests do not reach.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, startAioquic } from "../interop/aioquic.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { type OwnRoot, openRoot } from "../support/own-root.ts";
import { type RunningProcess, runProcess, startProcess } from "../support/process.ts";
import { binaryPath, listeningAddress } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { layBaseImage } from "./base-image.ts";
import { type Image, readDockerfile } from "./dockerfile.ts";
import { askOverHttp3, type BackendInside, startBackendIn } from "./served.ts";
import { packageTool, rootsLack, toolsLack } from "./tools.ts";

const PROJECT = join(import.meta.dir, "..", "..");
const DOCKER = join(PROJECT, "packaging", "docker");
const DOCKERFILE = readFileSync(join(DOCKER, "Dockerfile"), "utf8");
const linterLack = toolsLack("hadolint");
const composeLack = toolsLack("compose");
const lack = rootsLack("root") ?? (aioquicPython === null ? AIOQUIC_MISSING : null);

test.skip("docker build makes the image: needs a Docker daemon and images of public registries", () => undefined);

describe.skipIf(linterLack !== null)(linterLack ?? "the Dockerfile", () => {
  const lint = (text: string) => {
    const file = writeTemp(tempFolder("lint"), "Dockerfile", text);
    return runProcess({ command: [must(packageTool("hadolint"), "it is there"), "--no-fail", "--format=tty", file] });
  };

  test("is without fault for a linter that finds one in another", async () => {
    expect(await lint(DOCKERFILE)).toMatchObject({ stdout: "", stderr: "" });
    const { stdout } = await lint(DOCKERFILE.replace("debian:12-slim", "debian").replace("CMD [", "CMD [["));
    expect(stdout).toContain("DL3006");
  });
});

describe.skipIf(composeLack !== null)(composeLack ?? "the composition", () => {
  const load = (file: string) =>
    runProcess({
      command: [must(packageTool("compose"), "it is there"), file],
      bareEnv: { PATH: process.env["PATH"] ?? "" },
    });

  test("is taken by the library of Docker Compose, names files that are there, and gives the proxy longer than it drains", async () => {
    const { code, stdout, stderr } = await load(join(DOCKER, "docker-compose.yaml"));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const graceS = Number(/stop_grace_period: (\d+)s/.exec(stdout)?.[1]);
    const drainMs = Number(
      /shutdown_drain_timeout_ms: (\d+)/.exec(readFileSync(join(DOCKER, "config.yaml"), "utf8"))?.[1],
    );
    expect(graceS * 1000).toBeGreaterThan(drainMs);
    for (const [, path = ""] of stdout.matchAll(/source: (\/.*)$/gm)) {
      if (basename(path) !== "certs") expect(await Bun.file(path).exists()).toBe(true);
    }
    const text = readFileSync(join(DOCKER, "docker-compose.yaml"), "utf8").replace("stop_grace_period", "stop_grace");
    const wrong = await load(writeTemp(tempFolder("compose"), "docker-compose.yaml", text));
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("stop_grace")]);
  });
});

describe.skipIf(lack !== null)(lack ?? "the image's root", () => {
  test("read-only, without a shell and as a user of no rights, serves, says that it lives, and drains", async () => {
    const image = readDockerfile(DOCKERFILE);
    expect(image.base).toBe("gcr.io/distroless/cc-debian12:nonroot");
    expect(image.exposed).toContain("443/udp");
    expect(image.user).toEqual({ uid: 65532, gid: 65532 });
    const root = await openRoot(layImage(image), { temporary: false });
    const backend = await startBackendIn(root);
    await mountConfiguration(root, image, backend.address);
    await root.seal();
    await allowLowPorts(root);
    const how = { uid: image.user.uid };
    for (const place of ["/run", "/tmp", "/etc/spooky"])
      expect(() => writeFileSync(root.path(join(place, "file")), "")).toThrow("EROFS");
    expect((await root.run(image.healthcheck, how)).code).toBe(1);
    // In a container it is process 1, which ends by no signal that it has not asked for.
    const container = startProcess({ command: root.command(image.command, { ...how, first: true }) });
    expect((await listeningAddress(container)).port).toBe(443);
    expect(await askOverHttp3(root, "/there")).toBe("200 backend GET /there");
    expect(await root.run(image.healthcheck, how)).toMatchObject({ code: 0, stderr: "" });
    await drains(root, backend, image, container);
  });
});

/** What the base and the Dockerfile put into the image, in a folder. */
function layImage(image: Image): string {
  const folder = tempFolder("image");
  chmodSync(folder, 0o755);
  layBaseImage(must(packageTool("root"), "there is one"), folder);
  for (const { sources, target, mode } of image.copies) {
    for (const source of sources) {
      const to = target.endsWith("/") ? join(folder, target, basename(source)) : join(folder, target);
      mkdirSync(dirname(to), { recursive: true });
      copyFileSync(RELEASE.get(source) ?? source, to);
      chmodSync(to, mode);
    }
  }
  return folder;
}

/** What is in a release under those names, or stands in for it. */
const RELEASE: ReadonlyMap<string, string> = new Map([
  ["/release/spooky", binaryPath()],
  ["/release/LICENSE", join(PROJECT, "LICENSE")],
  ["/release/THIRD-PARTY-LICENSES", join(PROJECT, "LICENSE")],
]);

/** Configuration and certificate, as an engine mounts them. */
async function mountConfiguration(root: OwnRoot, { user }: Image, backend: string): Promise<void> {
  const { certFile, keyFile } = await testCertificateFiles();
  const certs = root.path("/etc/spooky/certs");
  mkdirSync(certs, { recursive: true });
  copyFileSync(certFile, join(certs, "fullchain.pem"));
  copyFileSync(keyFile, join(certs, "privkey.pem"));
  for (const name of ["fullchain.pem", "privkey.pem"]) chownSync(join(certs, name), user.uid, user.gid);
  const shipped = readFileSync(join(DOCKER, "config.yaml"), "utf8");
  expect(shipped).toContain("http://backend:80");
  writeFileSync(root.path("/etc/spooky/config.yaml"), shipped.replace("http://backend:80", `http://${backend}`));
}

/** What container engines do in the networks that they make: every user may have every port. */
async function allowLowPorts(root: OwnRoot): Promise<void> {
  const script = "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start";
  expect((await runProcess({ command: root.network.command(["sh", "-c", script]) })).code).toBe(0);
}

/** A request under way when the engine stops the container is finished, and the program ends well. */
async function drains(root: OwnRoot, backend: BackendInside, image: Image, container: RunningProcess): Promise<void> {
  const steps = [{ do: "request", id: "held", path: "/hold" }] as const;
  const client = startAioquic({ host: "127.0.0.1", port: 443, steps }, root.network);
  await backend.holding(1);
  expect(image.stopSignal).toBe("SIGTERM");
  root.signal(container, "SIGTERM");
  await container.waitForLine((line) => line.includes('"msg":"draining"'));
  await backend.release();
  const [connection] = await client.connections;
  expect(exchangeOf(must(connection, "one connection"), "held")).toMatchObject({ status: 200, ended: true });
  expect((await container.ended).code).toBe(0);
}
