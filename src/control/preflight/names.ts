/** Is a host covered by the names of a certificate, as clients compare them (RFC 9525 6.3)? Pure. */

/** `*.example.org` among the names stands for one label. A host that is itself such a pattern needs the same pattern. All in lower case. */
export function coversHost(names: readonly string[], host: string): boolean {
  if (names.includes(host)) return true;
  if (host.startsWith("*.")) return false;
  const dot = host.indexOf(".");
  return dot > 0 && names.includes(`*${host.slice(dot)}`);
}
