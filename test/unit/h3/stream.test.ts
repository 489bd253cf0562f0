/** One request stream on the fake engine: the request's body pulled from it, the response written to it, and every way it may end. */
import { sectionOf } from "../../support/sections.ts";
import { describe, expect, test } from "bun:test";
import { BufferAccount } from "../../../src/guard/buffer-account.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { RequestStream } from "../../../src/h3/stream.ts";
import type { AbortReason, StreamHost } from "../../../src/h3/stream-host.ts";
import { SECTION } from "../../../src/quic/engine.ts";
import { FakeSession, type FakeStream } from "../../support/fake-engine.ts";
import { type Field, flatOf } from "../../support/sections.ts";

const ID = 4;
const OK: readonly Field[] = [[":status", "200"]];

class World implements StreamHost {
  readonly engine = new FakeSession();
  readonly buffers = new BufferAccount(1_000_000);
  readonly stream: RequestStream;
  /** What the owner heard. */
  readonly heard: string[] = [];
  wakes = 0;
  agains = 0;
  blocked = 0;
  answers = 0;
  forgotten = 0;

  constructor(options: { hasBody?: boolean; expectedBytes?: number } = {}) {
    const { hasBody = true, expectedBytes = -1 } = options;
    this.stream = new RequestStream(this, ID, { hasBody, expectedBytes });
    this.stream.owner = {
      onRoom: () => void this.heard.push("room"),
      onSent: () => void this.heard.push("sent"),
      onAborted: (reason: AbortReason) => void this.heard.push(`aborted ${reason}`),
    };
    this.stream.onReadable = () => void this.heard.push("readable");
  }

  /** The client's side. */
  get client(): FakeStream {
    return this.engine.stream(ID);
  }

  /** What the session does with an event of the client's. */
  deliver(piece: string): void {
    this.engine.emitBody(ID, piece);
    this.engine.poll();
    this.stream.onData();
  }

  end(): void {
    this.engine.emitEnd(ID);
    this.engine.poll();
    this.stream.onFinished();
  }

  head(fin: boolean = false, fields: readonly Field[] = OK): void {
    this.stream.sendHead(flatOf(fields), fin);
  }

  received(): void {}
  delivered(): void {}
  aborted(): void {}

  again(): void {
    this.agains += 1;
  }

  wake(): void {
    this.wakes += 1;
  }

  block(): void {
    this.blocked += 1;
  }

  answered(): void {
    this.answers += 1;
  }

  forget(): void {
    this.forgotten += 1;
  }
}

function text(piece: Uint8Array | null): string | null {
  return piece === null ? null : new TextDecoder().decode(piece);
}

function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

describe("a request body", () => {
  test("is read when the reader asks, and not before", () => {
    const world = new World();
    world.deliver("one");
    expect(world.client.input.length).toBe(1);
    expect(world.stream.receivedBytes).toBe(0);
    expect(world.heard).toEqual(["readable"]);
    expect(text(world.stream.pull())).toBe("one");
    expect(world.stream.receivedBytes).toBe(3);
    expect(world.wakes).toBe(1);
    expect(world.stream.pull()).toBeNull();
    expect(world.stream.state).toBe("open");
  });

  test("comes in pieces that belong to the reader", () => {
    const world = new World();
    world.deliver("first");
    world.deliver("second");
    const pieces = [world.stream.pull(), world.stream.pull()];
    world.engine.bodyBytes.fill(0);
    expect(pieces.map(text)).toEqual(["first", "second"]);
  });

  test("is not asked of the engine again until it has said that there is more", () => {
    const world = new World();
    expect(world.stream.pull()).toBeNull();
    world.deliver("x");
    world.stream.pull();
    expect(world.stream.pull()).toBeNull();
    world.client.input.push(bytes("unannounced"));
    expect(world.stream.pull()).toBeNull();
    world.stream.onData();
    expect(text(world.stream.pull())).toBe("unannounced");
  });

  test("ends with its last piece when the end is known by then", () => {
    const world = new World();
    world.deliver("all");
    world.end();
    expect(world.stream.state).toBe("open");
    expect(text(world.stream.pull())).toBe("all");
    expect(world.stream.state).toBe("ended");
    expect(world.stream.pull()).toBeNull();
  });

  test("ends later when the end comes alone", () => {
    const world = new World();
    world.deliver("all");
    world.stream.pull();
    expect(world.stream.state).toBe("open");
    world.heard.length = 0;
    world.end();
    expect(world.stream.state).toBe("ended");
    expect(world.heard).toEqual(["readable"]);
  });

  test("that comes upon other events while it is read lets the session work again", () => {
    const world = new World();
    world.deliver("one");
    world.deliver("two");
    world.stream.pull();
    expect(world.agains).toBe(0);
    world.engine.hasPending = true;
    world.stream.pull();
    expect(world.agains).toBe(1);
  });

  test("does not end before events that reading came upon: trailers may be among them", () => {
    const world = new World();
    world.deliver("one");
    world.client.inputEnded = true;
    world.engine.hasPending = true;
    expect(world.stream.pull()?.length).toBe(3);
    expect([world.stream.pull(), world.stream.state]).toEqual([null, "open"]);
    world.engine.hasPending = false;
    world.stream.onTrailers(sectionOf([["x-sum", "1"]]));
    world.end();
    expect([world.stream.state, world.stream.trailers?.get("x-sum")]).toEqual(["ended", "1"]);
  });

  test("of a request that ended with its head is none", () => {
    const world = new World({ hasBody: false });
    expect(world.stream.state).toBe("ended");
    expect(world.stream.pull()).toBeNull();
  });

  test("that is not wanted any more is refused with H3_NO_ERROR, once", () => {
    const world = new World();
    world.deliver("x");
    world.stream.stop();
    world.stream.stop();
    expect(world.client.stops).toEqual([0x100]);
    expect(world.stream.state).toBe("broken");
    expect(world.stream.pull()).toBeNull();
    world.heard.length = 0;
    world.deliver("y");
    world.end();
    expect(world.heard).toEqual([]);
  });

  test("that has ended needs no refusal", () => {
    const world = new World();
    world.end();
    world.stream.stop();
    expect(world.client.stops).toEqual([]);
    expect(world.stream.state).toBe("ended");
  });
});

describe("a body that differs from its content-length (RFC 9114 4.1.2)", () => {
  test("is whole when it does not differ", () => {
    const world = new World({ expectedBytes: 6 });
    world.deliver("abc");
    world.stream.pull();
    world.deliver("def");
    world.end();
    world.stream.pull();
    expect(world.stream.state).toBe("ended");
    expect(world.client.resets).toEqual([]);
  });

  test("resets the stream with H3_MESSAGE_ERROR when it is too short, told with the last piece", () => {
    const world = new World({ expectedBytes: 6 });
    world.deliver("abc");
    world.end();
    world.heard.length = 0;
    // The piece that shows it is not handed out: who reads has been told to stop.
    expect(world.stream.pull()).toBeNull();
    expect(world.client.resets).toEqual([0x10e]);
    expect(world.heard).toEqual(["aborted malformed"]);
    expect(world.stream.state).toBe("broken");
    expect(world.forgotten).toBe(1);
  });

  test("resets the stream when it is too short, told with the end", () => {
    const world = new World({ expectedBytes: 6 });
    world.deliver("abc");
    world.stream.pull();
    world.end();
    expect(world.client.resets).toEqual([0x10e]);
    expect(world.heard).toContain("aborted malformed");
  });

  test("resets the stream as soon as it is too long", () => {
    const world = new World({ expectedBytes: 4 });
    world.deliver("abc");
    expect(text(world.stream.pull())).toBe("abc");
    world.deliver("def");
    expect(world.stream.pull()).toBeNull();
    expect(world.client.resets).toEqual([0x10e]);
    expect(world.heard.at(-1)).toBe("aborted malformed");
  });

  test("may be nothing when nothing was promised", () => {
    const world = new World({ expectedBytes: 0 });
    world.end();
    expect(world.stream.state).toBe("ended");
  });
});

describe("a response", () => {
  test("is written as it comes: head, pieces, end", () => {
    const world = new World({ hasBody: false });
    world.head();
    expect(world.answers).toBe(1);
    expect(world.stream.sendBody(bytes("Hello "))).toBe(true);
    expect(world.stream.sendBody(bytes("world"))).toBe(true);
    world.stream.end();
    expect(world.client.sections).toEqual([{ kind: SECTION.head, fields: [...OK] }]);
    expect(world.client.text).toBe("Hello world");
    expect(world.client.ended).toBe(true);
    expect(world.stream.sentBytes).toBe(11);
    expect(world.heard).toEqual(["sent"]);
    expect(world.forgotten).toBe(1);
  });

  test("may end with its head", () => {
    const world = new World({ hasBody: false });
    world.head(true);
    expect(world.client.ended).toBe(true);
    expect(world.heard).toEqual(["sent"]);
  });

  test("may end with trailers", () => {
    const world = new World({ hasBody: false });
    world.head();
    world.stream.sendBody(bytes("x"));
    world.stream.sendTrailers(flatOf([["x-sum", "1"]]));
    expect(world.client.sections.at(-1)).toEqual({ kind: SECTION.trailers, fields: [["x-sum", "1"]] });
    expect(world.client.ended).toBe(true);
    expect(world.heard).toEqual(["sent"]);
  });

  test("may begin with informational heads, which the engine must tell from the final one", () => {
    const world = new World({ hasBody: false });
    world.stream.sendInformational(flatOf([[":status", "103"]]));
    world.stream.sendInformational(flatOf([[":status", "103"]]));
    expect(world.stream.headSent).toBe(false);
    world.head(true);
    expect(world.client.sections.map(({ kind }) => kind)).toEqual([
      ...[SECTION.head, SECTION.additionalHead, SECTION.additionalHead],
    ]);
    expect(world.answers).toBe(1);
  });

  test("has one head, and nothing comes before it or after its end", () => {
    const world = new World({ hasBody: false });
    expect(() => world.stream.sendBody(bytes("x"))).toThrow(/after its head/);
    world.head();
    expect(() => world.head()).toThrow(/one final head/);
    expect(() => world.stream.sendInformational(flatOf(OK))).toThrow(/before the final one/);
    world.stream.end();
    expect(() => world.stream.end()).toThrow(/after the end/);
    expect(() => world.stream.sendBody(bytes("x"))).toThrow(/after the end/);
    expect(() => world.stream.sendTrailers(flatOf([]))).toThrow(/after the end/);
  });

  test("wakes the connection with everything it writes", () => {
    const world = new World({ hasBody: false });
    world.head();
    world.stream.sendBody(bytes("x"));
    world.stream.end();
    expect(world.wakes).toBeGreaterThanOrEqual(3);
  });
});

describe("a client that takes no more", () => {
  test("stops the writer, who hears of room exactly when everything has been taken", () => {
    const world = new World({ hasBody: false });
    world.head();
    world.client.room = 4;
    expect(world.stream.sendBody(bytes("abcdef"))).toBe(false);
    expect(world.client.text).toBe("abcd");
    expect(world.stream.blocked).toBe(true);
    // A writer may have one more piece on the way.
    expect(world.stream.sendBody(bytes("ghi"))).toBe(false);
    world.client.room = 1;
    world.stream.retryOutput();
    world.client.room = 2;
    world.stream.retryOutput();
    expect(world.heard).toEqual([]);
    expect(world.stream.blocked).toBe(true);
    world.client.room = 100;
    world.stream.retryOutput();
    expect(world.heard).toEqual(["room"]);
    expect(world.stream.blocked).toBe(false);
    expect(world.client.text).toBe("abcdefghi");
    expect(world.stream.sentBytes).toBe(9);
    expect(world.stream.sendBody(bytes("j"))).toBe(true);
  });

  test("gets what it did not take at once from a copy: the memory was only lent", () => {
    const world = new World({ hasBody: false });
    world.head();
    world.client.room = 3;
    // Too long to be joined with others, which would copy it in any case.
    const text = "abc".repeat(LIMITS.joinedPieceBytesMax);
    const lent = bytes(`<${text}>`);
    expect(world.stream.sendPart(lent, 1, lent.length - 1, false)).toBe(false);
    expect(world.stream.sendPart(lent, 1, lent.length - 1, true)).toBe(false);
    lent.fill(0);
    world.client.room = Infinity;
    world.stream.retryOutput();
    expect(world.client.text === text + text).toBe(true);
    expect(world.client.ended).toBe(true);
  });

  test("is asked nothing while something waits before it: order is kept", () => {
    const world = new World({ hasBody: false });
    world.head();
    world.client.room = 0;
    world.stream.sendBody(bytes("first "));
    world.client.room = 100;
    world.stream.sendBody(bytes("second "));
    expect(world.client.text).toBe("");
    world.stream.end();
    world.stream.retryOutput();
    expect(world.client.text).toBe("first second ");
    expect(world.client.ended).toBe(true);
    // The end has been taken: that is all that is told.
    expect(world.heard).toEqual(["sent"]);
  });

  test("gets a head that had to wait as it was written, whatever became of its memory", () => {
    const world = new World({ hasBody: false });
    world.client.sectionsPass = false;
    const section = flatOf(OK);
    world.stream.sendHead(section, false);
    section.fill(0);
    world.stream.sendBody(bytes("x"));
    world.stream.end();
    expect(world.client.sections).toEqual([]);
    world.client.sectionsPass = true;
    world.stream.retryOutput();
    expect(world.client.status).toBe("200");
    expect(world.client.text).toBe("x");
    expect(world.heard).toEqual(["sent"]);
  });

  test("gets informational heads that had to wait in their order", () => {
    const world = new World({ hasBody: false });
    world.client.sectionsPass = false;
    world.stream.sendInformational(flatOf([[":status", "103"]]));
    world.head(true);
    world.client.sectionsPass = true;
    world.stream.retryOutput();
    expect(world.client.sections.map(({ kind }) => kind)).toEqual([SECTION.head, SECTION.additionalHead]);
    expect(world.client.sections.map(({ fields }) => fields[0]?.[1])).toEqual(["103", "200"]);
  });

  test("who has no room for the end gets it later", () => {
    const world = new World({ hasBody: false });
    world.head();
    world.client.room = 1;
    expect(world.stream.sendBody(bytes("x"))).toBe(true);
    world.stream.end();
    expect(world.client.ended).toBe(false);
    expect(world.heard).toEqual([]);
    world.client.room = 1;
    world.stream.retryOutput();
    expect(world.client.ended).toBe(true);
    expect(world.heard).toEqual(["sent"]);
  });

  test("lets a writer go on from inside its own word of room", () => {
    const world = new World({ hasBody: false });
    world.head();
    world.client.room = 1;
    world.stream.sendBody(bytes("ab"));
    world.stream.owner = {
      onRoom: () => {
        world.client.room = 1;
        expect(world.stream.sendBody(bytes("cd"))).toBe(false);
      },
      onSent: () => undefined,
      onAborted: () => undefined,
    };
    world.client.room = 100;
    world.stream.retryOutput();
    expect(world.client.text).toBe("abc");
    expect(world.stream.blocked).toBe(true);
  });
});

describe("a response that ends before its request", () => {
  test("asks the client to stop with H3_NO_ERROR, once (RFC 9114 4.1)", () => {
    const world = new World();
    world.head(true);
    expect(world.client.stops).toEqual([0x100]);
    expect(world.client.resets).toEqual([]);
    expect(world.stream.state).toBe("broken");
    expect(world.heard).toEqual(["sent"]);
    world.stream.stop();
    world.deliver("late");
    world.end();
    expect(world.stream.pull()).toBeNull();
    expect(world.heard).toEqual(["sent"]);
  });

  test("asks nothing again when the reader had asked already", () => {
    const world = new World();
    world.stream.stop();
    world.head(true);
    expect(world.client.stops).toEqual([0x100]);
  });

  test("asks nothing when the request has ended", () => {
    const world = new World();
    world.end();
    world.head(true);
    expect(world.client.stops).toEqual([]);
  });
});

describe("a client that goes away", () => {
  for (const reason of ["reset", "stopped", "malformed"] as const) {
    test(`(${reason}) is told to the owner once, and the stream is reset`, () => {
      const world = new World();
      world.head();
      world.stream.onAborted(reason);
      world.stream.onAborted(reason);
      expect(world.heard).toEqual([`aborted ${reason}`]);
      expect(world.client.resets).toEqual([reason === "malformed" ? 0x10e : 0x10c]);
      expect(world.forgotten).toBe(1);
    });
  }

  test("with its whole connection is told without touching the engine", () => {
    const world = new World();
    world.engine.freed = true;
    world.stream.onAborted("closed");
    expect(world.heard).toEqual(["aborted closed"]);
    expect(world.stream.pull()).toBeNull();
    world.stream.stop();
    world.stream.reset(0x102);
    world.stream.checkAborted();
  });

  test("is found out by asking: it stopped listening", () => {
    const world = new World();
    world.stream.checkAborted();
    expect(world.heard).toEqual([]);
    world.client.stopped = true;
    world.stream.checkAborted();
    expect(world.heard).toEqual(["aborted stopped"]);
  });

  test("is found out by asking: it reset the request behind bytes that nobody reads", () => {
    const world = new World();
    world.deliver("unread");
    world.heard.length = 0;
    world.stream.checkAborted();
    expect(world.heard).toEqual([]);
    world.client.inputReset = true;
    world.stream.checkAborted();
    expect(world.heard).toEqual(["aborted reset"]);
  });

  test("is found out by reading", () => {
    const world = new World();
    world.deliver("unread");
    world.heard.length = 0;
    world.client.inputReset = true;
    expect(world.stream.pull()).toBeNull();
    expect(world.stream.state).toBe("broken");
    expect(world.heard).toEqual(["aborted reset"]);
    expect(world.client.resets).toEqual([0x10c]);
  });

  for (const [what, write] of [
    ["a head", (world: World): void => world.head()],
    ["a piece", (world: World): unknown => world.stream.sendBody(bytes("x"))],
    ["the end", (world: World): void => world.stream.end()],
  ] as const) {
    test(`is found out by writing ${what}`, () => {
      for (const end of ["stopped", "gone"] as const) {
        const world = new World();
        if (what !== "a head") world.head();
        world.client[end] = true;
        write(world);
        expect(world.heard).toEqual([`aborted ${end === "stopped" ? "stopped" : "reset"}`]);
        expect(world.forgotten).toBe(1);
      }
    });
  }

  test("is found out when waiting output is tried again, and nothing is tried after that", () => {
    const world = new World();
    world.head();
    world.client.room = 0;
    world.stream.sendBody(bytes("a"));
    world.stream.sendBody(bytes("b"));
    world.client.stopped = true;
    world.stream.retryOutput();
    expect(world.heard).toEqual(["aborted stopped"]);
    expect(world.stream.blocked).toBe(false);
  });

  test("takes no more of a response: the writer is told that there is no room, and nothing is kept", () => {
    const world = new World();
    world.head();
    world.stream.onAborted("stopped");
    expect(world.stream.sendBody(bytes("x"))).toBe(false);
    world.stream.end();
    expect(world.stream.blocked).toBe(false);
    expect(world.heard).toEqual(["aborted stopped"]);
  });

  test("and a head that comes too late changes nothing, also not the number of answers", () => {
    const world = new World();
    world.stream.onAborted("reset");
    world.head();
    expect(world.answers).toBe(0);
    expect(world.client.sections).toEqual([]);
  });
});

describe("a reset of ours", () => {
  test("is sent once and told to nobody", () => {
    const world = new World();
    world.head();
    world.stream.reset(0x102);
    world.stream.reset(0x102);
    expect(world.client.resets).toEqual([0x102]);
    expect(world.heard).toEqual([]);
    expect(world.forgotten).toBe(1);
  });

  test("throws waiting output away", () => {
    const world = new World();
    world.head();
    world.client.room = 0;
    world.stream.sendBody(bytes("x"));
    world.stream.reset(0x102);
    expect(world.stream.blocked).toBe(false);
    world.client.room = 100;
    world.stream.retryOutput();
    expect(world.heard).toEqual([]);
  });

  test("after the end does nothing", () => {
    const world = new World({ hasBody: false });
    world.head(true);
    world.stream.reset(0x102);
    expect(world.client.resets).toEqual([]);
  });
});
