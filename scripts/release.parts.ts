/** What a release is made of beside the project's own source: every package with its version, its licence and the text of it. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { must } from "../src/core/assert.ts";
import { bunParts } from "./release.bun.ts";
import { npmPurl, type Part, type PartsOptions } from "./release.part.ts";

/** All parts, in the order in which they are told of. */
export function releaseParts(options: PartsOptions): readonly Part[] {
  return [...npmParts(options.root), ...crateParts(options), ...linkedParts(options), ...bunParts(options)];
}

interface LockedPackage {
  readonly version: string;
  readonly integrity: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function npmParts(root: string): readonly Part[] {
  const { packages }: { packages: Record<string, LockedPackage> } = readJson(join(root, "package-lock.json"));
  const wanted = Object.entries(packages).filter(([path, { dev, optional }]) => path !== "" && !dev && !optional);
  const purls = new Map(wanted.map(([path, { version }]) => [path, npmPurl(nameOf(path), version)]));
  return wanted.map(([path, locked]) => ({
    name: nameOf(path),
    version: locked.version,
    licence: must(locked.license, `${path} has a licence`),
    group: "Packages of npm, in the program",
    purl: must(purls.get(path), "made above"),
    hash: { algorithm: "SHA-512", hex: Buffer.from(locked.integrity.replace("sha512-", ""), "base64").toString("hex") },
    uses: Object.keys(locked.dependencies ?? {}).map((name) =>
      must(purls.get(`node_modules/${name}`), `${name} is locked`),
    ),
    texts: licenceTexts(join(root, path), locked.license ?? ""),
    copyright: "",
    remark: "",
  }));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
}

interface CargoPackage {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly manifest_path: string;
  readonly targets: readonly { readonly kind: readonly string[] }[];
}

interface CargoNode {
  readonly id: string;
  readonly deps: readonly { readonly pkg: string; readonly dep_kinds: readonly { readonly kind: string | null }[] }[];
}

interface CargoMetadata {
  readonly packages: readonly CargoPackage[];
  readonly resolve: { readonly root: string; readonly nodes: readonly CargoNode[] };
}

/** The crates that are linked into the native library; those that only take part in the build are not in the release. */
function crateParts({ root, arch }: PartsOptions): readonly Part[] {
  const crate = join(root, "ffi", "native");
  const platform = `${arch}-unknown-linux-gnu`;
  const run = spawnSync("cargo", ["metadata", "--format-version=1", "--locked", `--filter-platform=${platform}`], {
    cwd: crate,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (run.status !== 0) throw new Error(`cargo metadata failed: ${run.stderr}`);
  const metadata: CargoMetadata = JSON.parse(run.stdout);
  const checksums = cargoChecksums(readFileSync(join(crate, "Cargo.lock"), "utf8"));
  const linked = linkedCrates(metadata);
  const purls = new Map(linked.map(({ id, name, version }) => [id, `pkg:cargo/${name}@${version}`]));
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
  const uses = (id: string): readonly string[] =>
    (nodes.get(id)?.deps ?? []).flatMap(({ pkg, dep_kinds }) => {
      const purl = purls.get(pkg);
      return purl !== undefined && dep_kinds.some(({ kind }) => kind === null) ? [purl] : [];
    });
  return linked
    .filter(({ id }) => id !== metadata.resolve.root)
    .map(({ id, name, version, license, manifest_path }) => ({
      name,
      version,
      licence: license.replaceAll("/", " OR "),
      group: "Crates, in the native library",
      purl: must(purls.get(id), "made above"),
      hash: { algorithm: "SHA-256", hex: must(checksums.get(`${name} ${version}`), `${name} is locked`) },
      uses: uses(id),
      texts: licenceTexts(dirname(manifest_path), license),
      copyright: "",
      remark: name === "quiche" ? "Changed by the patch in ffi/native/patches of Spooky's source." : "",
    }));
}

/** From the native library's own crate along what is linked: neither build scripts nor macros. In the order of names. */
function linkedCrates({ packages, resolve }: CargoMetadata): readonly CargoPackage[] {
  const byId = new Map(packages.map((crate) => [crate.id, crate]));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const found = new Map<string, CargoPackage>();
  const open = [resolve.root];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const crate = must(byId.get(id), "cargo describes every package that it names");
    if (found.has(id) || crate.targets.some(({ kind }) => kind.includes("proc-macro"))) continue;
    found.set(id, crate);
    const deps = nodes.get(id)?.deps ?? [];
    open.push(...deps.filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null)).map(({ pkg }) => pkg));
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Checksums of crates, by name and version. */
function cargoChecksums(lock: string): ReadonlyMap<string, string> {
  const entries = lock.matchAll(/name = "(.+)"\nversion = "(.+)"\nsource = .*\nchecksum = "([0-9a-f]{64})"/g);
  return new Map(Array.from(entries, ([, name, version, checksum = ""]) => [`${name} ${version}`, checksum]));
}

/** What is linked into the native library and is no crate. */
function linkedParts({ root, toolchain }: PartsOptions): readonly Part[] {
  const group = "Libraries, in the native library";
  const versions = readFileSync(join(toolchain, "versions"), "utf8");
  const versionOf = (name: string): string =>
    must(new RegExp(`^${name} (\\S+)`, "m").exec(versions)?.[1], `the toolchain tells the version of ${name}`);
  const zig = globFolder(toolchain, "python/lib/python3*/site-packages/ziglang");
  const boringSys = must(
    /name = "boring-sys"\nversion = "(.+)"/.exec(read(root, "ffi/native/Cargo.lock"))?.[1],
    "locked",
  );
  const plain = { group, hash: null, uses: [], copyright: "", texts: [] };
  const fromZig = { ...plain, remark: `The source that zig ${versionOf("zig")} holds.` };
  const llvm = llvmVersion(read(zig, "lib/libcxx/include/__config"));
  return [
    {
      ...{ ...plain, name: "BoringSSL", version: null, licence: "Apache-2.0" },
      purl: "pkg:generic/boringssl",
      texts: [readFileSync(join(boringFolder(root), "deps", "boringssl", "LICENSE"), "utf8")],
      remark: `The source that the crate boring-sys ${boringSys} holds.`,
    },
    {
      ...{ ...plain, name: "Rust's standard library", version: versionOf("rustc"), licence: "MIT OR Apache-2.0" },
      purl: `pkg:generic/rust-std@${versionOf("rustc")}`,
      copyright: "Copyright (c) the Rust project's contributors (https://www.rust-lang.org)",
      remark: `Used under Apache-2.0. So are the crates in it (${STD_CRATES}); memchr is under Unlicense OR MIT.`,
    },
    ...["libcxx", "libcxxabi", "libunwind"].map((name) => ({
      ...{ ...fromZig, name: `LLVM ${name}`, version: llvm, licence: "Apache-2.0 WITH LLVM-exception" },
      purl: `pkg:generic/llvm-${name}@${llvm}`,
      texts: [read(zig, `lib/${name}/LICENSE.TXT`)],
    })),
    {
      ...{ ...fromZig, name: "zig's compiler_rt", version: versionOf("zig"), licence: "MIT" },
      purl: `pkg:generic/zig-compiler-rt@${versionOf("zig")}`,
      texts: [read(zig, "LICENSE")],
    },
    {
      ...{ ...fromZig, name: "glibc's libc_nonshared", version: null, licence: "LGPL-2.1-or-later" },
      purl: "pkg:generic/glibc-nonshared",
      copyright: "Copyright (C) Free Software Foundation, Inc.",
      remark: `${fromZig.remark} A few functions that glibc means to be linked into programs; its makers give unlimited permission to do so.`,
    },
  ];
}

/** Crates of Rust's standard library (library/Cargo.lock of its source). */
const STD_CRATES =
  "addr2line, adler2, cfg-if, compiler_builtins, gimli, hashbrown, libc, miniz_oxide, object, rustc-demangle";

/** `220108` is 22.1.8. */
function llvmVersion(config: string): string {
  const [, major, minor, patch] = must(
    /define _LIBCPP_VERSION (\d\d)(\d\d)(\d\d)/.exec(config),
    "libc++ tells its version",
  );
  return [major, minor, patch].map(Number).join(".");
}

function globFolder(folder: string, pattern: string): string {
  const found = [...new Bun.Glob(pattern).scanSync({ cwd: folder, onlyFiles: false })];
  return join(folder, must(found[0], `${folder} holds ${pattern}`));
}

/** Where cargo keeps the crate that holds BoringSSL. */
function boringFolder(root: string): string {
  const run = spawnSync("cargo", ["metadata", "--format-version=1", "--locked"], {
    cwd: join(root, "ffi", "native"),
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  const { packages }: CargoMetadata = JSON.parse(run.stdout);
  return dirname(
    must(
      packages.find(({ name }) => name === "boring-sys"),
      "the native library uses boring-sys",
    ).manifest_path,
  );
}

/** The texts in a package's folder. Where MIT is one of several to choose from, that one alone. */
function licenceTexts(folder: string, licence: string): readonly string[] {
  const names = readdirSync(folder).filter((name) =>
    /^(licen[cs]e|copying|notice|unlicense|copyrightnotice)/i.test(name),
  );
  const choice = /\bOR\b|\//.test(licence) && licence.includes("MIT") ? names.filter((name) => /mit/i.test(name)) : [];
  const chosen = choice.length > 0 ? choice : names;
  if (chosen.length === 0) throw new Error(`${folder} holds no text of its licence`);
  return chosen.sort().map((name) => readFileSync(join(folder, name), "utf8"));
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), "utf8");
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8"));
}
