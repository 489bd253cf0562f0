/** Certificates over the wall: which one a client is shown, and what becomes of connections when they are replaced. */
import { afterAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import type { RequestStream } from "../../src/h3/stream.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { must } from "../../src/core/assert.ts";
import type { QuicheClient } from "../../ffi/quiche/client.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { testAuthority, testLeaf } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { connect, exchange, get, TestServer } from "../support/quic-pair.ts";

const encoder = new TextEncoder();
const library = openTestLibrary();

afterAll(() => expect(library.ledger.total).toBe(0));

describe("certificates that are replaced", () => {
  test("are shown in new handshakes; connections of before go on", async () => {
    const [one, other] = [await identityFor("localhost"), await identityFor("localhost")];
    withServer([one], (server) => {
      const before = server.client();
      connect(server, before);
      server.engine.prepareIdentities([other], null).commit();
      const after = server.client();
      connect(server, after);
      expect(shownTo(before)).toBe(fingerprintOf(one));
      expect(shownTo(after)).toBe(fingerprintOf(other));
      for (const client of [before, after]) {
        expect(exchange(server, client, get("/")).status).toBe("200");
        client.close();
      }
    });
  });

  test("may be replaced in the middle of a handshake, which ends with those that it began with", async () => {
    const [one, other] = [await identityFor("localhost"), await identityFor("localhost")];
    withServer([one], (server) => {
      const client = server.client();
      client.step();
      server.step();
      server.engine.prepareIdentities([other], null).commit();
      connect(server, client);
      expect(shownTo(client)).toBe(fingerprintOf(one));
      expect(exchange(server, client, get("/")).status).toBe("200");
      client.close();
    });
  });

  test("leave nothing behind: one configuration lives, however often they are replaced", async () => {
    const [one, other] = [await identityFor("localhost"), await identityFor("localhost")];
    withServer([one], (server) => {
      const live = library.ledger.total;
      for (let i = 0; i < 200; i++) server.engine.prepareIdentities([i % 2 === 0 ? other : one], null).commit();
      expect(library.ledger.total).toBe(live);
      expect(library.ledger.live("tls")).toBe(0);
      const client = server.client();
      connect(server, client);
      expect(shownTo(client)).toBe(fingerprintOf(one));
      client.close();
    });
  });

  test("are not shown before they are put to work, and are given back where they are not", async () => {
    const [one, other] = [await identityFor("localhost"), await identityFor("localhost")];
    withServer([one], (server) => {
      const prepared = server.engine.prepareIdentities([other], null);
      const client = server.client();
      connect(server, client);
      expect(shownTo(client)).toBe(fingerprintOf(one));
      client.close();
      prepared.abandon();
      expect(library.ledger.live("config")).toBe(1);
    });
  });

  test("by ones that do not fit change nothing", async () => {
    const [one, other] = [await identityFor("localhost"), await identityFor("localhost")];
    withServer([one], (server) => {
      const mixed = { ...other, keyPem: one.keyPem };
      expect(() => server.engine.prepareIdentities([mixed], null)).toThrow("does not belong to the certificate");
      const noCa = { caPem: encoder.encode("nonsense"), required: true, label: "ca.pem" };
      expect(() => server.engine.prepareIdentities([other], noCa)).toThrow("ca.pem: the file holds no PEM certificate");
      const client = server.client();
      connect(server, client);
      expect(shownTo(client)).toBe(fingerprintOf(one));
      client.close();
    });
  });
});

async function identityFor(...names: string[]): Promise<Identity> {
  const leaf = await testLeaf({ names });
  return {
    serverNames: names,
    chainPem: encoder.encode(leaf.certPem + (await testAuthority()).certPem),
    keyPem: encoder.encode(leaf.keyPem),
    label: names.join(),
  };
}

function withServer(identities: readonly Identity[], run: (server: TestServer) => void): void {
  const writer = new FieldWriter();
  const handler = {
    onRequest: (stream: RequestStream) => {
      stream.owner = { onRoom: () => undefined, onSent: () => undefined, onAborted: () => undefined };
      writer.begin();
      writer.add(":status", "200");
      stream.sendHead(writer.finish(), true);
    },
    onMalformed: () => undefined,
  };
  const server = new TestServer({ library, identities, handler });
  try {
    run(server);
  } finally {
    server.close();
  }
}

function shownTo(client: QuicheClient): string {
  return new X509Certificate(must(client.serverCertificate(), "the server has shown one")).fingerprint256;
}

function fingerprintOf({ chainPem }: Identity): string {
  return new X509Certificate(chainPem).fingerprint256;
}
