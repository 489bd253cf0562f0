import { describe, expect, test } from "bun:test";
import type { BackendScheme, BackendSettings } from "../../../src/config/snapshot.ts";
import { authorityTowards, ownAuthority } from "../../../src/proxy/host.ts";
import { STANDARD_BACKEND } from "../../support/settings.ts";

function backend(scheme: BackendScheme, host: string, port: number): BackendSettings {
  return { ...STANDARD_BACKEND, scheme, host, port };
}

describe("the host that a backend is asked for", () => {
  const one = backend("http", "10.0.0.1", 8080);

  test("is the client's, a given one, or the backend's own", () => {
    expect(authorityTowards({ mode: "pass-through" }, one, "Shop.test:8443")).toBe("Shop.test:8443");
    expect(authorityTowards({ mode: "rewrite", host: "app.internal:81" }, one, "shop.test")).toBe("app.internal:81");
    expect(authorityTowards({ mode: "upstream" }, one, "shop.test")).toBe("10.0.0.1:8080");
  });

  test("is a given one for our own requests too, else the backend's own", () => {
    expect(ownAuthority({ mode: "pass-through" }, one)).toBe("10.0.0.1:8080");
    expect(ownAuthority({ mode: "upstream" }, one)).toBe("10.0.0.1:8080");
    expect(ownAuthority({ mode: "rewrite", host: "app.internal" }, one)).toBe("app.internal");
  });

  for (const [scheme, host, port, authority] of [
    ["http", "a.test", 80, "a.test"],
    ["http", "a.test", 443, "a.test:443"],
    ["https", "a.test", 443, "a.test"],
    ["https", "a.test", 8443, "a.test:8443"],
    ["h3", "a.test", 443, "a.test"],
    ["h2c", "a.test", 80, "a.test"],
    ["auto", "10.0.0.1", 80, "10.0.0.1"],
    ["auto", "10.0.0.1", 443, "10.0.0.1:443"],
    ["https", "2001:db8::1", 443, "[2001:db8::1]"],
    ["http", "2001:db8::1", 8080, "[2001:db8::1]:8080"],
    ["unix", "/run/app.sock", 0, "localhost"],
  ] as const) {
    test(`of ${scheme} ${host} ${port} is ${authority}`, () => {
      const settings = backend(scheme, host, port);
      for (let again = 0; again < 2; again++)
        expect(authorityTowards({ mode: "upstream" }, settings, "shop.test")).toBe(authority);
    });
  }
});
