/** gRPC on stacks that nobody here wrote: grpc-go behind the proxy, connect-go over quic-go's HTTP/3 before it (`test/interop/grpc`). */
import { must } from "../../src/core/assert.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { type RunningProcess, startProcess } from "../support/process.ts";

/** The program, or null: `scripts/ok.ts` names it in SPOOKY_TEST_GRPC. */
export const grpcProgram: string | null = process.env["SPOOKY_TEST_GRPC"] || null;

/** Why a test is skipped without it. */
export const GRPC_MISSING = "gRPC: SPOOKY_TEST_GRPC names no program (./scripts/test sets it up)";

/** A service that runs. It stops by itself at the end of the test, group or file that started it. */
export interface GrpcService {
  readonly port: number;
  /** Waits for an event: `waiting`, or `cancelled` with its error. */
  event(name: string, call: string): Promise<Record<string, unknown>>;
}

/** Starts the service, in clear or over TLS with the run's certificate. */
export async function startGrpcService(tls: boolean): Promise<GrpcService> {
  const { certFile, keyFile } = await testCertificateFiles();
  const child = startProcess({
    command: [must(grpcProgram, GRPC_MISSING), "serve", ...(tls ? ["-cert", certFile, "-key", keyFile] : [])],
  });
  const line = await child.waitForLine((text) => text.startsWith('{"port"'));
  return {
    port: Number(JSON.parse(line).port),
    event: async (name, call) => {
      const matches = (text: string) => text.includes(`"call":"${call}"`) && text.includes(`"event":"${name}"`);
      return JSON.parse(await child.waitForLine(matches));
    },
  };
}

/** A case of the client under way. */
export interface GrpcCall {
  readonly process: RunningProcess;
  /** What it saw. Rejects with its output when it printed nothing. */
  readonly seen: Promise<Record<string, unknown>>;
}

/** Starts a case (`test/interop/grpc/client.go`) against a URL. */
export async function startGrpcCall(url: string, args: readonly string[]): Promise<GrpcCall> {
  const { caFile } = await testCertificateFiles();
  const child = startProcess({
    command: [must(grpcProgram, GRPC_MISSING), "call", "-url", url, "-ca", caFile, ...args],
  });
  const seen = child.waitForLine((line) => line.startsWith("{")).then((line) => JSON.parse(line));
  seen.catch(() => undefined);
  return { process: child, seen };
}

/** Plays a case to its end. */
export async function grpcCall(url: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  return (await startGrpcCall(url, args)).seen;
}
