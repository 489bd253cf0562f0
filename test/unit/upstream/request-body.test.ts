import { describe, expect, test } from "bun:test";
import { RequestBody, type BodyWatcher } from "../../../src/upstream/request-body.ts";
import { PushBody } from "../../support/upstream-calls.ts";

class Watcher implements BodyWatcher {
  progress = 0;
  unwanted = 0;
  wanted = 0;
  onBodyWanted(): void {
    this.wanted += 1;
  }
  onBodyProgress(): void {
    this.progress += 1;
  }
  onBodyUnwanted(): void {
    this.unwanted += 1;
  }
}

function make(declaredBytes: number = -1) {
  const source = new PushBody();
  const watcher = new Watcher();
  const body = new RequestBody(source, declaredBytes, watcher);
  return { source, watcher, body, reader: body.stream.getReader() };
}

const text = (piece: Uint8Array | undefined): string => new TextDecoder().decode(piece);

describe("RequestBody", () => {
  test("pulls nothing before it is asked, and one piece for each question", async () => {
    const { source, body, reader } = make();
    source.push("one").push("two");
    await Promise.resolve();
    expect([source.pulled, body.begun]).toEqual([0, false]);
    expect(text((await reader.read()).value)).toBe("one");
    expect([source.pulled, body.begun]).toEqual([3, true]);
  });

  test("waits for a piece that is not there, and says that it waits", async () => {
    const { source, body, reader, watcher } = make();
    const read = reader.read();
    await Promise.resolve();
    expect(body.starved).toBe(true);
    source.push("late");
    expect(text((await read).value)).toBe("late");
    expect([body.starved, watcher.progress]).toEqual([false, 1]);
  });

  test("empty pieces are passed over", async () => {
    const { source, reader } = make();
    source.push("").push("").push("x").end();
    expect(text((await reader.read()).value)).toBe("x");
    expect((await reader.read()).done).toBe(true);
  });

  test("ends with the declared number of bytes without another question, and reads on until the client's end", async () => {
    const { source, reader } = make(3);
    source.push("abc");
    expect(text((await reader.read()).value)).toBe("abc");
    expect((await reader.read()).done).toBe(true);
    expect(source.onReadable).not.toBeNull();
    source.end();
    expect([source.onReadable, source.stopped]).toEqual([null, false]);
  });

  test("stops a client that sends more after its declared end", async () => {
    const { source, reader } = make(3);
    source.push("abc");
    await reader.read();
    source.push("more");
    expect(source.stopped).toBe(true);
  });

  test("a body of another length than declared, or a broken one, is an error and no end", async () => {
    for (const [sent, how, code] of [
      ["ab", "ended", "BAD_REQUEST"],
      ["abcd", "ended", "BAD_REQUEST"],
      ["ab", "broken", "CLIENT_GONE"],
    ] as const) {
      const { source, reader } = make(3);
      source.push(sent).end(how);
      const all = async (): Promise<void> => {
        while (!(await reader.read()).done);
      };
      expect(all()).rejects.toMatchObject({ code });
      await Promise.resolve();
    }
  });

  test("detached, it leaves the source to another", async () => {
    const { source, body, watcher, reader } = make();
    body.detach();
    expect(source.onReadable).toBeNull();
    await reader.cancel();
    expect(watcher.unwanted).toBe(0);
    const second = new RequestBody(source.push("kept").end(), -1, watcher);
    expect(text((await second.stream.getReader().read()).value)).toBe("kept");
  });

  test("tells when it is not wanted any more", async () => {
    const { watcher, reader } = make();
    await reader.cancel();
    expect(watcher.unwanted).toBe(1);
  });
});
