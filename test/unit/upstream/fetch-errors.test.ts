import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ProxyError } from "../../../src/core/error.ts";
import { NOT_SENT, REFUSED, UNANSWERED } from "../../../src/proxy/upstream-failure.ts";
import { BUN_ERRORS, DENO_ERRORS, fetchError, fetchFailure } from "../../../src/upstream/fetch-errors.ts";

describe("fetchError", () => {
  test("an error of ours comes back as it is", () => {
    const own = new ProxyError("CLIENT_GONE", "gone");
    expect(fetchError(own, "b")).toBe(own);
  });

  test("codes decide what it is and how far the attempt had come", () => {
    expect(fetchFailure({ code: "EHOSTUNREACH" }, "b")).toMatchObject({ code: "UPSTREAM_UNREACHABLE", ...NOT_SENT });
    expect(fetchFailure({ code: "HTTP2RefusedStream" }, "b")).toMatchObject({ code: "UPSTREAM_RESET", ...REFUSED });
    expect(fetchFailure({ code: "ECONNRESET" }, "b")).toMatchObject({ code: "UPSTREAM_RESET", ...UNANSWERED });
  });

  test("every way a certificate may be wrong is a TLS failure", () => {
    for (const code of [
      "CERT_REVOKED",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "INVALID_PURPOSE",
    ]) {
      expect(fetchError(Object.assign(new Error("why"), { code }), "b")).toMatchObject({
        code: "UPSTREAM_TLS",
        message: "b: why",
      });
    }
  });

  test("texts decide where a runtime gives no code", () => {
    const cause = new Error(
      "error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)",
    );
    expect(fetchError(new TypeError("fetch failed", { cause }), "b").code).toBe("UPSTREAM_REFUSED");
    const name = new Error("client error (Connect): dns error: failed to lookup address information");
    expect(fetchError(new TypeError("fetch failed", { cause: name }), "b").code).toBe("UPSTREAM_NAME");
  });

  test("what nobody knows may have come after the request was sent", () => {
    for (const thrown of ["text", null, undefined, 5, new Error("odd"), { code: 7 }, { code: "NEW" }]) {
      expect(fetchFailure(thrown, "b")).toMatchObject({ code: "UPSTREAM_RESET", processed: "maybe" });
    }
  });

  test("what we gave wrongly is our fault", () => {
    expect(fetchError({ code: "ERR_INVALID_URL" }, "b").code).toBe("INTERNAL");
  });

  test("docs/errors.md names every code and text, and what it becomes", () => {
    const page = readFileSync(`${import.meta.dirname}/../../../docs/errors.md`, "utf8");
    for (const [code, meaning] of [...BUN_ERRORS, ...DENO_ERRORS]) {
      const row = page.split("\n").find((line) => line.startsWith(`| \`${code}\` `));
      expect(row ?? code).toContain(`\`${meaning.code}\``);
      if (meaning.processed !== undefined) expect(row).toEndWith("| no        |");
    }
  });
});
