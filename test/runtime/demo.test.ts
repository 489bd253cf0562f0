import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { runProcess } from "../support/process.ts";
import { denoPath } from "../support/proxy.ts";

const PROBE = join(import.meta.dir, "demo-probe.ts");
const deno = denoPath();

const runtimes: readonly { readonly name: string; readonly command: readonly string[] | null }[] = [
  { name: "Bun", command: [process.execPath, PROBE] },
  { name: "Deno", command: deno === null ? null : [deno, "run", "--quiet", "-A", PROBE] },
];

for (const { name, command } of runtimes) {
  describe(`the demo's backends on ${name}`, () => {
    test.skipIf(command === null)(
      "answer over HTTP/1.1 and HTTP/2, echo megabytes, and leave nothing open",
      async () => {
        const { code, stdout, stderr } = await runProcess({ command: command ?? [] });
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        const seen = JSON.parse(stdout);
        expect(seen.ids).toEqual(["demo-h2", "demo-h1-a", "demo-h1-b"]);
        seen.plain.forEach(
          (answers: Record<string, { status: number; backend: string; text: string }>, index: number) => {
            const id = ["demo-h1-a", "demo-h1-b"][index] ?? "";
            expect(answers["fixed"]).toEqual({
              status: 200,
              backend: id,
              text: `This is /static/a.txt, served by ${id}.\n`,
            });
            expect(answers["health"]).toEqual({ status: 200, backend: id, text: "healthy\n" });
            expect(answers["echo"]).toEqual({ status: 200, backend: id, text: digestOf(7) });
            expect(JSON.parse(answers["api"]?.text ?? "")).toMatchObject(described(id, "HTTP/1.1"));
          },
        );
        expect(JSON.parse(seen.secure.http1.text)).toMatchObject(described("demo-h2", "HTTP/1.1"));
        expect(JSON.parse(seen.secure.http2.text)).toMatchObject(described("demo-h2", "HTTP/2.0"));
        expect(seen.secure.echo).toEqual({ status: 200, backend: "demo-h2", text: digestOf(9) });
      },
    );
  });
}

function described(backend: string, protocol: string): object {
  return { backend, method: "GET", path: "/api/users?id=1", protocol, headers: { "x-request-id": "r1" } };
}

function digestOf(byte: number): string {
  const body = new Uint8Array(3_000_000).fill(byte);
  return `${body.length} ${createHash("sha256").update(body).digest("hex")}`;
}
