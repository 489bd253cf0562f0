/**
 * For which hosts a connection may be asked: those that its certificate is for. A client may use one connection for several hosts where one
 * certificate covers them (RFC 9114 3.3); one that asks for a host of another certificate of ours has come the wrong way, and is told so
 * (421, RFC 9110 15.5.20), and then comes again over a connection of its own. Pure.
 */

/** One certificate of the listener. */
export interface CertificateNames {
  /** Names that it is chosen for by SNI; a wildcard stands for one label. Lower case. */
  readonly serverNames: readonly string[];
  /** All that it is for: DNS names and IP addresses, in their normal form (`hostOf`). */
  readonly coveredNames: readonly string[];
}

/** Certificates of a listener: the first answers those who name none of the others. */
export class Authorities {
  readonly #certificates: readonly CertificateNames[];
  readonly #isStrict: boolean;

  /**
   * Not strict: a host that no certificate covers is anybody's, so that certificates without fitting names (of tests, of one's own making)
   * serve as before. Strict: such a host is only taken from a client that has named it in its handshake.
   */
  constructor(certificates: readonly CertificateNames[], isStrict: boolean) {
    this.#certificates = certificates;
    this.#isStrict = isStrict;
  }

  /** For the connection of a client that has named this server, or "" for none. */
  connectionFor(serverName: string): AskedHosts {
    return new AskedHosts(this, hostOf(serverName));
  }

  /** Is a request for `host` on a connection whose client has named `serverName` to be turned away? Both in their normal form. */
  isMisdirected(host: string, serverName: string): boolean {
    if (host === serverName) return false;
    const shown = this.#shownTo(serverName);
    if (shown.some((certificate) => covers(certificate, host))) return false;
    if (this.#isStrict) return true;
    // Nobody names an address in the handshake, so another connection would get no other certificate.
    return !isAddress(host) && this.#certificates.some((certificate) => covers(certificate, host));
  }

  /** Those of which TLS chooses one; see `finish` in `ffi/native/src/tls.rs`. */
  #shownTo(serverName: string): readonly CertificateNames[] {
    const exact = this.#certificates.filter(({ serverNames }) => serverNames.includes(serverName));
    if (exact.length > 0) return exact;
    const wildcard = wildcardOf(serverName);
    const wild = this.#certificates.filter(({ serverNames }) => serverNames.includes(wildcard));
    return wild.length > 0 ? wild : this.#certificates.slice(0, 1);
  }
}

/** What one connection may be asked for. */
export class AskedHosts {
  readonly #authorities: Authorities;
  readonly #serverName: string;
  /** Nearly all requests of a connection are for one host. */
  #authority = "";
  #isMisdirected = false;

  constructor(authorities: Authorities, serverName: string) {
    this.#authorities = authorities;
    this.#serverName = serverName;
  }

  /** Is a request for this authority, as received, to be turned away? */
  isMisdirected(authority: string): boolean {
    if (authority !== this.#authority) {
      this.#authority = authority;
      this.#isMisdirected = this.#authorities.isMisdirected(hostOf(authority), this.#serverName);
    }
    return this.#isMisdirected;
  }
}

/** The host of an authority in one spelling: lower case, without port, final dot and brackets; addresses of IPv6 as browsers write them. */
export function hostOf(authority: string): string {
  const text = authority.toLowerCase();
  if (text.startsWith("[")) return ipv6Of(text.slice(1, text.indexOf("]")));
  const host = text.replace(PORT, "");
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

/** An address of IPv6 in the form of RFC 5952; what is none stays as it is. */
export function ipv6Of(text: string): string {
  const url = `http://[${text}]`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : text;
}

/** Is a certificate for a host, as clients compare names (RFC 9525 6.3)? A wildcard stands for one label. */
export function covers({ serverNames, coveredNames }: CertificateNames, host: string): boolean {
  const wildcard = isAddress(host) ? "" : wildcardOf(host);
  return [serverNames, coveredNames].some((names) => names.includes(host) || names.includes(wildcard));
}

/** `*.` and all but the first label. */
function wildcardOf(host: string): string {
  const dot = host.indexOf(".");
  return dot > 0 ? `*${host.slice(dot)}` : "";
}

function isAddress(host: string): boolean {
  return host.includes(":") || IPV4.test(host);
}

const PORT = /:[0-9]*$/;
const IPV4 = /^[0-9]{1,3}(\.[0-9]{1,3}){3}$/;
