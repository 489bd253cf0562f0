/**
 * The chart and the manifest as Kubernetes will read them: rendered by Helm, held to the schemas of the oldest and a new version, and every
 * configuration in them read by the program itself. They were installed in no cluster.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { formatProblem, loadConfig } from "../../src/config/load.ts";
import type { Snapshot } from "../../src/config/snapshot.ts";
import { runProcess } from "../support/process.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { packageTool, toolsLack } from "./tools.ts";

const PROJECT = join(import.meta.dir, "..", "..");
const CHART = join(PROJECT, "packaging", "helm", "spooky");
const MANIFEST = join(PROJECT, "packaging", "kubernetes", "spooky.yaml");
const lack = toolsLack("helm", "kubeconform", "schemas");
/** The oldest that the chart says it is for, and the newest whose schemas there are. */
const KUBERNETES_VERSIONS = ["1.26.0", "1.37.0"];
const THREE = ["--values", join(CHART, "ci", "three-values.yaml")];
const EVERYTHING = [
  ...THREE,
  '--set-json=service.annotations={"a.example/b":"c"}',
  '--set-json=nodeSelector={"a":"b"}',
  '--set-json=tolerations=[{"key":"edge","operator":"Exists"}]',
  '--set-json=affinity={"nodeAffinity":{}}',
  '--set-json=podAnnotations={"a":"b"}',
  '--set-json=podLabels={"c":"d"}',
  '--set-json=imagePullSecrets=[{"name":"registry"}]',
  '--set-json=tls={"secretName":"spooky-tls","moreSecretNames":["shop-tls","mail-tls"]}',
  '--set-json=service.loadBalancerSourceRanges=["192.0.2.0/24"]',
  `--set=address=0.0.0.0,service.nodePort=30443,image.digest=sha256:${"0".repeat(64)}`,
  "--set=priorityClassName=system-cluster-critical,service.type=LoadBalancer,service.loadBalancerClass=a.example/udp",
];

test.skip("the chart is installed in a cluster, and helm test passes: needs a cluster", () => undefined);

describe.skipIf(lack !== null)(lack ?? "the chart", () => {
  test("is taken by helm lint, and values that cannot be meant are refused", async () => {
    for (const options of [[], THREE]) {
      const { code, stdout } = await helm("lint", "--strict", CHART, "--kube-version=1.37.0", ...options);
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("0 chart(s) failed") });
    }
    const refused: Readonly<Record<string, string>> = {
      "service.typ=NodePort": "service",
      "shutdown.drainMs=0": "drainMs",
      "config.listen.port=1": "listen",
      "replicas=2": "several replicas need cluster.enabled",
      "image.digest=latest": "digest",
      "address=localhost": "address",
    };
    for (const [mistake, reason] of Object.entries(refused)) {
      const { code, stderr } = await helm("template", "spooky", CHART, "--kube-version=1.37.0", "--set", mistake);
      expect([mistake, code, stderr]).toEqual([mistake, 1, expect.stringContaining(reason)]);
    }
  });

  test("gives what Kubernetes' schemas allow, whatever is set, and so is the manifest", async () => {
    for (const version of KUBERNETES_VERSIONS) {
      for (const options of [[], THREE, EVERYTHING])
        expect(await invalid(await render(options, version), version)).toEqual([]);
      expect(await invalid(readFileSync(MANIFEST, "utf8"), version)).toEqual([]);
    }
    const broken = (await render([], "1.37.0")).replace("readOnlyRootFilesystem", "readonlyRootFilesystem");
    expect(await invalid(broken, "1.37.0")).toEqual([expect.stringContaining("readonlyRootFilesystem")]);
  });

  test("gives each pod a configuration of its own that the program takes, and more time to stop than it may use", async () => {
    for (const [options, pods] of [
      [[], 1],
      [EVERYTHING, 3],
    ] as const) {
      const objects = documents(await render(options, "1.37.0"));
      const names = checkConfigurations(objects, pods);
      expect(names).toEqual(Array.from({ length: pods }, (_, number) => `spooky-${number}.yaml`));
      checkServices(objects);
    }
  });

  test("is of the program's version, and has no budget for disruptions where none is wanted or one pod cannot have one", async () => {
    const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
    const chart = readFileSync(join(CHART, "Chart.yaml"), "utf8");
    expect(Bun.YAML.parse(chart)).toMatchObject({ version, appVersion: version });
    const budgets = async (...options: readonly string[]) =>
      documents(await render(options, "1.37.0")).filter(({ kind }) => kind === "PodDisruptionBudget").length;
    expect([await budgets(), await budgets(...THREE)]).toEqual([0, 1]);
    expect(await budgets(...THREE, "--set=podDisruptionBudget=null")).toBe(0);
  });

  test("is what the manifest was written from", async () => {
    const { code, stdout } = await runProcess({
      command: [join(PROJECT, "scripts", "kubernetes-manifest"), "--print"],
    });
    expect(code).toBe(0);
    expect(`${stdout}\n`).toBe(readFileSync(MANIFEST, "utf8"));
    checkConfigurations(documents(stdout), 2);
  });
});

/** A thing of Kubernetes', as far as it is looked at. */
interface Thing {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly data: Readonly<Record<string, string>>;
  readonly spec: {
    readonly replicas: number;
    readonly selector: Readonly<Record<string, string>>;
    readonly sessionAffinity?: string;
    readonly ports: readonly { readonly protocol?: string; readonly targetPort: string }[];
    readonly template: { readonly metadata: Thing["metadata"]; readonly spec: PodSpec };
  };
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly ports: readonly { readonly name: string; readonly containerPort: number; readonly protocol?: string }[];
    readonly volumeMounts: readonly { readonly mountPath: string }[];
  }[];
}

function documents(text: string): readonly Thing[] {
  const parsed = Bun.YAML.parse(text) as Thing | Thing[];
  return Array.isArray(parsed) ? parsed : [parsed];
}

function one(objects: readonly Thing[], kind: string, name = "spooky"): Thing {
  return must(
    objects.find((object) => object.kind === kind && object.metadata.name === name),
    `there is a ${kind} ${name}`,
  );
}

/** Reads them all, compares them with the pods, and gives their names. */
function checkConfigurations(objects: readonly Thing[], pods: number): string[] {
  const { template, replicas } = one(objects, "StatefulSet").spec;
  const container = must(template.spec.containers[0], "one container");
  expect(replicas).toBe(pods);
  expect(container.args).toEqual(["--config", "/etc/spooky/pods/$(POD_NAME).yaml"]);
  const nodes = new Set<string>();
  const { data } = one(objects, "ConfigMap");
  for (const [name, text] of Object.entries(data)) {
    const { timeouts, cluster, listeners, observability } = loaded(name, text);
    const [listen] = listeners;
    nodes.add(cluster.nodeId ?? "none");
    expect(timeouts.shutdownDelayMs).toBeGreaterThan(0);
    const stopMs = timeouts.shutdownDelayMs + timeouts.drainMs;
    expect(template.spec.terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(stopMs + 10_000);
    const ports = Object.fromEntries(container.ports.map((port) => [port.name, port.containerPort]));
    expect(ports).toEqual({
      http3: listen.port,
      health: observability.health?.port ?? 0,
      metrics: observability.metrics?.port ?? 0,
    });
    const pairs = listen.certificates.flatMap(({ certFile, keyFile }) => [certFile, keyFile]);
    const files = [...pairs, ...(cluster.keyFile === null ? [] : [cluster.keyFile])];
    const places = container.volumeMounts.map((mount) => mount.mountPath);
    for (const path of files) expect(places.filter((place) => path.startsWith(`${place}/`))).toHaveLength(1);
  }
  expect(nodes.size).toBe(pods);
  return Object.keys(data);
}

function loaded(name: string, text: string): Snapshot {
  const result = loadConfig(text, name);
  if ("snapshot" in result) return result.snapshot;
  throw new Error(result.problems.map((problem) => formatProblem(problem)).join("\n"));
}

/** Clients come over UDP and stay with their pod; the Services choose the pods and nothing else that is rendered. */
function checkServices(objects: readonly Thing[]): void {
  const labels = one(objects, "StatefulSet").spec.template.metadata.labels;
  const tester = one(objects, "Pod", "spooky-ready").metadata.labels;
  for (const name of ["spooky", "spooky-pods"]) {
    const selector = Object.entries(one(objects, "Service", name).spec.selector);
    expect(selector.every(([key, value]) => labels[key] === value)).toBe(true);
    expect(selector.every(([key, value]) => tester[key] === value)).toBe(false);
  }
  const { ports, sessionAffinity } = one(objects, "Service").spec;
  expect(sessionAffinity).toBe("ClientIP");
  expect(ports.map((port) => [port.protocol, port.targetPort])).toEqual([["UDP", "http3"]]);
}

function helm(...options: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const home = tempFolder("helm");
  const env = { HELM_CONFIG_HOME: home, HELM_CACHE_HOME: home, HELM_DATA_HOME: home };
  return runProcess({ command: [must(packageTool("helm"), "it is there"), ...options], env });
}

async function render(options: readonly string[], version: string): Promise<string> {
  const { code, stdout, stderr } = await helm("template", "spooky", CHART, `--kube-version=${version}`, ...options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** What kubeconform says against a manifest, a line for each object that is not as it has to be. */
async function invalid(manifest: string, version: string): Promise<string[]> {
  const schemas = `${must(packageTool("schemas"), "they are there")}/{{.NormalizedKubernetesVersion}}-local-strict`;
  const file = writeTemp(tempFolder("manifest"), "manifest.yaml", manifest);
  const { stdout, stderr } = await runProcess({
    command: [
      ...[must(packageTool("kubeconform"), "it is there"), "-strict", "-summary", "-kubernetes-version", version],
      ...["-schema-location", `${schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`, file],
    ],
  });
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line !== "");
  const summary = must(
    lines.find((line) => line.startsWith("Summary: ")),
    "it says what it has seen",
  );
  const found = lines.filter((line) => line !== summary);
  expect(summary).toMatch(/^Summary: [1-9]\d* resources found in 1 file/);
  expect(found.length === 0).toBe(/Invalid: 0, Errors: 0, Skipped: 0$/.test(summary));
  return found;
}
