/** Bun and what is linked into it, as its own licence file (LICENSE.md of its source) tells; it names no versions. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../src/core/assert.ts";
import { npmPurl, type Part, type PartsOptions } from "./release.part.ts";

const GROUP = "Bun, the runtime in the executable";

/** Libraries in Bun: name, licence, home. */
const LINKED: readonly (readonly [string, string, string])[] = [
  ["JavaScriptCore and WebKit", "LGPL-2.0-only", "https://github.com/oven-sh/WebKit"],
  ["BoringSSL", "Apache-2.0", "https://boringssl.googlesource.com/boringssl"],
  ["brotli", "MIT", "https://github.com/google/brotli"],
  ["libarchive", "BSD-2-Clause", "https://github.com/libarchive/libarchive"],
  ["lol-html", "BSD-3-Clause", "https://github.com/cloudflare/lol-html"],
  ["ls-hpack", "MIT", "https://github.com/litespeedtech/ls-hpack"],
  ["ls-qpack", "MIT", "https://github.com/litespeedtech/ls-qpack"],
  ["lsquic", "MIT AND BSD-3-Clause", "https://github.com/litespeedtech/lsquic"],
  ["mimalloc", "MIT", "https://github.com/microsoft/mimalloc"],
  ["picohttpparser", "Artistic-1.0-Perl OR MIT", "https://github.com/h2o/picohttpparser"],
  ["zstd", "BSD-3-Clause OR GPL-2.0-only", "https://github.com/facebook/zstd"],
  ["simdutf", "Apache-2.0", "https://github.com/simdutf/simdutf"],
  ["TinyCC", "LGPL-2.1-only", "https://github.com/TinyCC/tinycc"],
  ["uSockets", "Apache-2.0", "https://github.com/uNetworking/uSockets"],
  ["uWebSockets", "Apache-2.0", "https://github.com/uNetworking/uWebSockets"],
  ["zlib-ng", "Zlib", "https://github.com/zlib-ng/zlib-ng"],
  ["c-ares", "MIT", "https://github.com/c-ares/c-ares"],
  ["ICU", "ICU", "https://github.com/unicode-org/icu"],
  ["libbase64", "BSD-2-Clause", "https://github.com/aklomp/base64"],
  ["libdeflate", "MIT", "https://github.com/ebiggers/libdeflate"],
  ["libjpeg-turbo", "BSD-3-Clause AND IJG AND Zlib", "https://github.com/libjpeg-turbo/libjpeg-turbo"],
  ["libspng", "BSD-2-Clause", "https://github.com/randy408/libspng"],
  ["libwebp", "BSD-3-Clause", "https://chromium.googlesource.com/webm/libwebp"],
  ["Highway", "Apache-2.0", "https://github.com/google/highway"],
  ["uucode", "MIT", "https://github.com/jacobsandlund/uucode"],
  ["TigerBeetle's IO code, parts of it", "Apache-2.0", "https://github.com/tigerbeetle/tigerbeetle"],
  ["LLVM libc++abi, one function of it", "Apache-2.0 WITH LLVM-exception", "https://github.com/llvm/llvm-project"],
  ["esbuild, ported", "MIT", "https://github.com/evanw/esbuild"],
];

/** Packages of npm in Bun, which it brings for Node's modules. All are under MIT. */
const POLYFILLS = [
  ...["acorn", "acorn-walk", "assert", "browserify-zlib", "buffer", "constants-browserify", "crypto-browserify"],
  ...["domain-browser", "events", "https-browserify", "os-browserify", "path-browserify", "process", "punycode"],
  ...["querystring-es3", "stream-browserify", "stream-http", "string_decoder", "timers-browserify", "tty-browserify"],
  ...["url", "util", "vm-browserify"],
];

const RELINK = [
  "JavaScriptCore and WebKit are linked statically and are under the LGPL: whoever wants to change them may build Bun from its source",
  "(https://github.com/oven-sh/bun and https://github.com/oven-sh/WebKit; Bun's LICENSE.md tells how), and with that Bun make this",
  "program anew: `bun scripts/build.ts --executable=FILE` in Spooky's source.",
].join("\n");

/** The Bun of package-lock.json for the release's processor, then what is in it. */
export function bunParts({ root, arch }: PartsOptions): readonly Part[] {
  const name = `@oven/bun-linux-${arch === "x86_64" ? "x64" : "aarch64"}`;
  const { packages }: { packages: Record<string, { version: string; integrity: string }> } = JSON.parse(
    readFileSync(join(root, "package-lock.json"), "utf8"),
  );
  const { version, integrity } = must(packages[`node_modules/${name}`], `${name} is locked`);
  const plain = { group: GROUP, version: null, hash: null, uses: [], texts: [] };
  const linked = LINKED.map(([library, licence, home]) => ({
    ...{ ...plain, name: library, licence, remark: home },
    purl: `pkg:generic/${slug(library)}?via=bun`,
  }));
  const polyfills = POLYFILLS.map((polyfill) => ({
    ...{ ...plain, name: polyfill, licence: "MIT", remark: `https://www.npmjs.com/package/${polyfill}` },
    purl: `pkg:npm/${polyfill}?via=bun`,
  }));
  const bun = {
    ...{ ...plain, name: "Bun", version, licence: "MIT", purl: npmPurl(name, version), remark: RELINK },
    hash: {
      algorithm: "SHA-512" as const,
      hex: Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex"),
    },
    uses: [...linked, ...polyfills].map(({ purl }) => purl),
  };
  return [bun, ...linked, ...polyfills];
}

function slug(name: string): string {
  return name
    .toLowerCase()
    .replace(/,.*/, "")
    .replaceAll(/[^a-z0-9+.-]+/g, "-");
}
