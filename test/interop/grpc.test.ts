/** gRPC through the proxy, real stacks on both sides: every kind of call, every way to end one, metadata and deadlines. */
import { describe, expect, test } from "bun:test";
import { GRPC_MISSING, grpcCall, grpcProgram, startGrpcCall, startGrpcService, type GrpcService } from "./grpc.ts";
import { startProxy } from "../support/proxy.ts";

const MEBIBYTE = "1048576";

/** How the backend is reached: HTTP/2 in clear, over TLS by the client of our own, and where `fetch` would be asked for other requests. */
const WAYS = [
  { name: "h2c", scheme: "h2c", tls: false, extra: {} },
  { name: "h2 over TLS", scheme: "https", tls: true, extra: { transport: "native" } },
  { name: "h2 over TLS without a transport", scheme: "https", tls: true, extra: {} },
];

describe.skipIf(grpcProgram === null)(grpcProgram === null ? GRPC_MISSING : "gRPC", () => {
  describe.each(WAYS)("through a backend of $name", async ({ scheme, tls, extra }) => {
    const service = grpcProgram === null ? null : await startGrpcService(tls);
    const pools = [{ prefix: "/", backends: [`${scheme}://127.0.0.1:${service?.port ?? 1}`], extra }];
    const proxy = await startProxy({ pools });
    const { url } = proxy;

    describeCalls(url);
    describeStreams(url);
    describeEnds(url, service);

    test("nothing of it is worth a warning", () => {
      const warnings = proxy.logs().filter(({ level }) => level === "error" || level === "warn");
      // A deadline is over for client and service at once; where the service gives up first, its reset is a failure of the backend.
      expect(warnings.filter(({ path }) => path !== "/spooky.Test/Wait")).toEqual([]);
    });
  });
});

function describeCalls(url: string): void {
  test.each(["0", "1", "16384", MEBIBYTE])(
    "a call of one message of %s bytes each way keeps its metadata",
    async (size) => {
      expect(await grpcCall(url, "unary", size)).toEqual({
        equal: true,
        head: ["first", "second, with a comma"],
        headBin: "0001feff",
        tail: ["first", "second, with a comma"],
        tailBin: "0001feff",
        status: "0",
      });
    },
  );

  test("an answer of trailers alone keeps its status, its message and its details", async () => {
    expect(await grpcCall(url, "fail")).toEqual({
      code: "failed_precondition",
      message: "not yet: 100 % of the wörld",
      details: ["61736b"],
    });
  });

  test("an error behind messages comes after all of them", async () => {
    expect(await grpcCall(url, "fail-late", "5", "100000")).toMatchObject({
      code: "failed_precondition",
      message: "not yet: 100 % of the wörld",
      details: ["6c617465"],
      messages: 5,
      equal: true,
    });
  });

  test("a method that is not there is told so by the service", async () => {
    expect(await grpcCall(url, "unknown")).toMatchObject({ code: "unimplemented" });
  });

  test("the client's deadline reaches the service, and only where there is one", async () => {
    expect(await grpcCall(url, "deadline")).toEqual({ without: "none", withinTime: true });
  });
}

function describeStreams(url: string): void {
  test.each([
    ["1", MEBIBYTE],
    ["32", MEBIBYTE],
    ["5000", "10"],
    ["0", "0"],
  ])("a service sends %s messages of %s bytes", async (count, size) => {
    const code = "ok";
    const expected = { code, messages: Number(count), equal: true, sent: count };
    expect(await grpcCall(url, "down", count, size)).toMatchObject(expected);
  });

  test.each([
    ["1", MEBIBYTE],
    ["32", MEBIBYTE],
    ["5000", "10"],
    ["0", "0"],
  ])("a client sends %s messages of %s bytes", async (count, size) => {
    expect(await grpcCall(url, "up", count, size)).toEqual({ equal: true });
  });

  test.each([
    ["1000", "10"],
    ["20", MEBIBYTE],
  ])("%s messages of %s bytes go to and fro while both sides are open", async (rounds, size) => {
    expect(await grpcCall(url, "chat", rounds, size)).toEqual({ rounds: Number(rounds), ended: true, closed: true });
  });
}

function describeEnds(url: string, service: GrpcService | null): void {
  test("a service that refuses in the middle of an upload stops it, and the client hears why", async () => {
    const expected = { code: "resource_exhausted", message: "no more", details: [], stopped: true };
    expect(await grpcCall(url, "up-refused")).toEqual(expected);
  });

  test("a client that gives up takes its call along to the service", async () => {
    const { process, seen } = await startGrpcCall(url, ["cancel-unary"]);
    await service?.event("waiting", "unary");
    process.write("\n");
    expect(await seen).toMatchObject({ code: "canceled" });
    expect(await service?.event("cancelled", "unary")).toMatchObject({ error: "context canceled" });
  });

  test("a client that gives up in a conversation takes it along to the service", async () => {
    expect(await grpcCall(url, "cancel-chat")).toMatchObject({ code: "canceled" });
    expect(await service?.event("cancelled", "chat")).toMatchObject({ error: "context canceled" });
  });

  test("a deadline that is over ends the call at both ends", async () => {
    expect(await grpcCall(url, "expire")).toMatchObject({ code: "deadline_exceeded" });
    expect(await service?.event("cancelled", "expire")).toBeTruthy();
  });
}
