/** One part of a release, and where parts are found. */

/** One part. */
export interface Part {
  readonly name: string;
  /** Null where its maker tells none. */
  readonly version: string | null;
  /** A licence expression of SPDX. */
  readonly licence: string;
  /** Where it is in the executable, in words of a heading. */
  readonly group: string;
  /** Package URL, the identity by which scanners know it. */
  readonly purl: string;
  /** Checksum of the package as its registry hands it out. */
  readonly hash: { readonly algorithm: "SHA-256" | "SHA-512"; readonly hex: string } | null;
  /** Package URLs of what it uses. */
  readonly uses: readonly string[];
  /** Lines of copyright where its package's own text does not tell them; else "". */
  readonly copyright: string;
  /** Texts of its licence, as its package holds them. */
  readonly texts: readonly string[];
  /** What else there is to know; "" for nothing. */
  readonly remark: string;
}

/** Where the parts are found. */
export interface PartsOptions {
  /** Folder of the source with the packages of the program. */
  readonly root: string;
  readonly arch: "x86_64" | "aarch64";
  /** Folder of `scripts/toolchain.sh`. */
  readonly toolchain: string;
}

/** A package URL writes the scope's sign in percent form. */
export function npmPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}
