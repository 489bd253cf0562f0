/**
 * What is linked into Bun, with the lines of copyright that its makers want to be told.
 *
 * From LICENSE.md of Bun's source, which has no versions and leaves out SQLite, llhttp, HdrHistogram and crates; those are from its build
 * scripts and its Cargo.lock. Versions come from `process.versions`, which knows some of them.
 */

/** One part of Bun. */
export interface BunPart {
  readonly name: string;
  /** An expression of SPDX. */
  readonly licence: string;
  /** Where its source is. */
  readonly home: string;
  /** Lines of copyright; "" where the licence asks for none or its package has none. */
  readonly copyright: string;
  /** Its name in `process.versions`; "" where it is not told there. */
  readonly versionKey: string;
}

function part(name: string, licence: string, home: string, copyright: string, versionKey = ""): BunPart {
  return { name, licence, home, copyright, versionKey };
}

const LITESPEED = "Copyright (c) 2017-2026 LiteSpeed Technologies Inc";

/** Libraries. */
export const BUN_LIBRARIES: readonly BunPart[] = [
  part(
    "JavaScriptCore and WebKit",
    "LGPL-2.0-only AND BSD-2-Clause",
    "https://github.com/oven-sh/WebKit",
    "Copyright (C) Apple Inc. and others",
    "webkit",
  ),
  part("BoringSSL", "Apache-2.0", "https://boringssl.googlesource.com/boringssl", "", "boringssl"),
  part(
    "brotli",
    "MIT",
    "https://github.com/google/brotli",
    "Copyright (c) 2009, 2010, 2013-2016 by the Brotli Authors",
  ),
  part(
    "libarchive",
    "BSD-2-Clause",
    "https://github.com/libarchive/libarchive",
    "Copyright (c) 2003-2018 Tim Kientzle and others",
    "libarchive",
  ),
  part(
    "lol-html",
    "BSD-3-Clause",
    "https://github.com/cloudflare/lol-html",
    "Copyright (C) 2019, Cloudflare, Inc.",
    "lolhtml",
  ),
  part("ls-hpack", "MIT", "https://github.com/litespeedtech/ls-hpack", LITESPEED, "lshpack"),
  part("ls-qpack", "MIT", "https://github.com/litespeedtech/ls-qpack", LITESPEED),
  part(
    "lsquic",
    "MIT AND BSD-3-Clause",
    "https://github.com/litespeedtech/lsquic",
    `${LITESPEED}; Copyright 2015 The Chromium Authors. All rights reserved.`,
  ),
  part(
    "mimalloc",
    "MIT",
    "https://github.com/microsoft/mimalloc",
    "Copyright (c) 2018-2025 Microsoft Corporation, Daan Leijen",
    "mimalloc",
  ),
  part(
    "picohttpparser",
    "Artistic-1.0-Perl OR MIT",
    "https://github.com/h2o/picohttpparser",
    "Copyright (c) 2009-2014 Kazuho Oku, Tokuhiro Matsuno, Daisuke Murase, Shigeo Mitsunari",
    "picohttpparser",
  ),
  part(
    "zstd",
    "BSD-3-Clause OR GPL-2.0-only",
    "https://github.com/facebook/zstd",
    "Copyright (c) Meta Platforms, Inc. and affiliates. All rights reserved.",
    "zstd",
  ),
  part("simdutf", "Apache-2.0", "https://github.com/simdutf/simdutf", ""),
  part("TinyCC", "LGPL-2.1-only", "https://github.com/TinyCC/tinycc", "Copyright (c) Fabrice Bellard", "tinycc"),
  part("uSockets", "Apache-2.0", "https://github.com/uNetworking/uSockets", ""),
  part("uWebSockets", "Apache-2.0", "https://github.com/uNetworking/uWebSockets", ""),
  part(
    "zlib-ng",
    "Zlib",
    "https://github.com/zlib-ng/zlib-ng",
    "(C) 1995-2024 Jean-loup Gailly and Mark Adler",
    "zlib",
  ),
  part(
    "c-ares",
    "MIT",
    "https://github.com/c-ares/c-ares",
    "Copyright (c) 1998 Massachusetts Institute of Technology; Copyright (c) 2007-2023 Daniel Stenberg with many contributors",
    "ares",
  ),
  part(
    "ICU",
    "Unicode-3.0",
    "https://github.com/unicode-org/icu",
    "Copyright (c) 1991-2026 Unicode, Inc.; Copyright (c) 1995-2016 International Business Machines Corporation and others",
    "icu",
  ),
  part(
    "libbase64",
    "BSD-2-Clause",
    "https://github.com/aklomp/base64",
    "Copyright (c) 2005-2007 Nick Galbreath; 2013-2022 Alfred Klomp; 2015-2018 Wojciech Muła; 2016-2017 Matthieu Darbois",
  ),
  part(
    "libdeflate",
    "MIT",
    "https://github.com/ebiggers/libdeflate",
    "Copyright 2016 Eric Biggers; Copyright 2024 Google LLC",
    "libdeflate",
  ),
  part(
    "libjpeg-turbo",
    "BSD-3-Clause AND IJG AND Zlib",
    "https://github.com/libjpeg-turbo/libjpeg-turbo",
    "Copyright (C) 2009-2026 D. R. Commander; Copyright (C) 2015 Viktor Szathmáry. This software is based in part on the work of the Independent JPEG Group.",
  ),
  part(
    "libspng",
    "BSD-2-Clause",
    "https://github.com/randy408/libspng",
    "Copyright (c) 2018-2023, Randy <randy408@protonmail.com>",
  ),
  part(
    "libwebp",
    "BSD-3-Clause",
    "https://chromium.googlesource.com/webm/libwebp",
    "Copyright (c) 2010, Google Inc. All rights reserved.",
  ),
  part("Highway", "Apache-2.0", "https://github.com/google/highway", ""),
  part("uucode", "MIT", "https://github.com/jacobsandlund/uucode", "Copyright (c) 2026 Jacob Sandlund"),
  part("TigerBeetle's IO code, parts of it", "Apache-2.0", "https://github.com/tigerbeetle/tigerbeetle", ""),
  part(
    "LLVM libc++abi, one function of it",
    "Apache-2.0 WITH LLVM-exception",
    "https://github.com/llvm/llvm-project",
    "",
  ),
  part("esbuild, ported", "MIT", "https://github.com/evanw/esbuild", "Copyright (c) 2020 Evan Wallace"),
  part("SQLite", "blessing", "https://sqlite.org", "", "sqlite"),
  part("llhttp", "MIT", "https://github.com/nodejs/llhttp", "Copyright (c) 2018 Fedor Indutny", "llhttp"),
  part(
    "HdrHistogram_c",
    "BSD-2-Clause OR CC0-1.0",
    "https://github.com/HdrHistogram/HdrHistogram_c",
    "Copyright (c) 2012-2014 Gil Tene; 2014 Michael Barker; 2014 Matt Warren; 2015 Philip Orwig",
  ),
];

/** Crates that are under one licence alone, or under several at once: name, licence, copyright. */
const CRATES_OF_ONE_LICENCE: readonly (readonly [string, string, string])[] = [
  ["arrayref", "BSD-2-Clause", "Copyright (c) 2015 David Roundy <roundyd@physics.oregonstate.edu>"],
  ["bcrypt", "MIT", "Copyright (c) 2020 Vincent Prouillet"],
  ["blake2b_simd", "MIT", "Jack O'Connor"],
  ["const_format", "Zlib", "Copyright (c) 2020 Matias Rodriguez."],
  ["cssparser", "MPL-2.0", ""],
  ["dtoa-short", "MPL-2.0", ""],
  [
    "encoding_rs",
    "(Apache-2.0 OR MIT) AND BSD-3-Clause",
    "Copyright Mozilla Foundation; Copyright (c) WHATWG (Apple, Google, Mozilla, Microsoft).",
  ],
  ["foldhash", "Zlib", "Copyright (c) 2024 Orson Peters"],
  ["generic-array", "MIT", "Copyright (c) 2015 Bartłomiej Kamiński"],
  ["konst", "Zlib", "Copyright (c) 2021 Matias Rodriguez."],
  ["new_debug_unreachable", "MIT", "Copyright (c) 2015 Jonathan Reem"],
  ["phf", "MIT", "Copyright (c) 2014-2022 Steven Fackler, Yuki Okushi"],
  ["phf_shared", "MIT", "Copyright (c) 2014-2022 Steven Fackler, Yuki Okushi"],
  ["precomputed-hash", "MIT", "Copyright (c) 2017 Emilio Cobos Álvarez"],
  ["selectors", "MPL-2.0", ""],
  ["strum", "MIT", "Copyright (c) 2019 Peter Glotfelty"],
  [
    "subtle",
    "BSD-3-Clause",
    "Copyright (c) 2016-2017 Isis Agora Lovecruft, Henry de Valence; 2016-2024 Isis Agora Lovecruft. All rights reserved.",
  ],
  ["typed-arena", "MIT", "Copyright (c) 2018 The typed-arena developers"],
];

/** Crates that may be had under Apache-2.0, which asks for its text alone. */
const CRATES_OF_APACHE = [
  ...["allocator-api2", "arrayvec", "base64", "bitflags", "blake2", "block-buffer", "blowfish", "bstr", "bumpalo"],
  ...["cfg-if", "cipher", "cpufeatures", "crossbeam-utils", "crypto-common", "digest", "dtoa", "enum-map", "enumset"],
  ...["equivalent", "getrandom", "hashbrown", "inout", "itoa", "keccak", "libc", "log", "mime", "rust-argon2"],
  ...["rustc-hash", "scopeguard", "servo_arc", "sha3", "siphasher", "smallvec", "stable_deref_trait", "thiserror"],
  ...["typenum", "zeroize"],
];

function crate(name: string, licence: string, copyright: string): BunPart {
  return part(name, licence, `https://crates.io/crates/${name}`, copyright);
}

/** Crates in Bun. */
export const BUN_CRATES: readonly BunPart[] = [
  ...CRATES_OF_ONE_LICENCE.map(([name, licence, copyright]) => crate(name, licence, copyright)),
  ...CRATES_OF_APACHE.map((name) => crate(name, "MIT OR Apache-2.0", "")),
  crate("bytemuck", "Zlib OR Apache-2.0 OR MIT", ""),
  crate("byteorder", "Unlicense OR MIT", ""),
  crate("constant_time_eq", "CC0-1.0 OR MIT-0 OR Apache-2.0", ""),
  crate("memchr", "Unlicense OR MIT", ""),
].sort((a, b) => (a.name < b.name ? -1 : 1));

const NODE = "Copyright Joyent, Inc. and other Node contributors";
const HALLIDAY = "Copyright (c) James Halliday";

/** Packages of npm in Bun, which it brings for Node's modules. All are under MIT. */
export const BUN_POLYFILLS: readonly BunPart[] = (
  [
    ["acorn", "Copyright (C) 2012-2022 by various contributors"],
    ["acorn-walk", "Copyright (C) 2012-2020 by various contributors"],
    ["assert", NODE],
    ["browserify-zlib", "Copyright (c) 2014-2015 Devon Govett <devongovett@gmail.com>; Copyright Node.js contributors"],
    ["buffer", "Copyright (c) Feross Aboukhadijeh, and other contributors"],
    ["constants-browserify", "Copyright (c) Julian Gruber"],
    ["crypto-browserify", "Copyright (c) 2013 Dominic Tarr"],
    ["domain-browser", "Copyright (c) Benjamin Lupton"],
    ["events", NODE],
    ["https-browserify", HALLIDAY],
    ["os-browserify", "Copyright (c) 2017 CoderPuppy"],
    ["path-browserify", HALLIDAY],
    ["process", "Copyright (c) 2013 Roman Shtylman <shtylman@gmail.com>"],
    ["punycode", "Copyright Mathias Bynens <https://mathiasbynens.be/>"],
    ["querystring-es3", "Copyright 2012 Irakli Gozalishvili"],
    ["stream-browserify", HALLIDAY],
    ["stream-http", "Copyright (c) 2015 John Hiesey"],
    ["string_decoder", NODE],
    ["timers-browserify", `Copyright (c) 2012 J. Ryan Stinnett <jryans@gmail.com>; ${NODE}`],
    ["tty-browserify", HALLIDAY],
    ["url", NODE],
    ["util", NODE],
    ["vm-browserify", HALLIDAY],
  ] as const
).map(([name, copyright]) => part(name, "MIT", `https://www.npmjs.com/package/${name}`, copyright));
