/** The control socket as the system has it: who may speak, what is bounded, and whose path it is. */
import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { askControl } from "../../src/control/control-client.ts";
import type { ControlSocket } from "../../src/control/control-socket.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { ControlBed, RawPeer } from "../support/control-bed.ts";
import { tempFolder } from "../support/temp.ts";

let opened: ControlSocket[] = [];
afterEach(() => {
  for (const socket of opened) socket.close();
  opened = [];
});

async function open(bed: ControlBed, ...args: Parameters<ControlBed["open"]>): Promise<ControlSocket> {
  const socket = await bed.open(...args);
  opened.push(socket);
  return socket;
}

/** What it was rejected with. */
function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
}

const STATUS = '{"v":1,"do":"status"}\n';

describe("a request", () => {
  test("for the status is answered, again and again on one connection", async () => {
    const bed = new ControlBed();
    bed.node.counts["requests_started"] = 5;
    await open(bed);
    const peer = new RawPeer(bed.path);
    peer.say(STATUS + STATUS);
    const answer = { v: 1, is: "status", status: { pid: 4241, version: "1.2.3", counters: { requests_started: 5 } } };
    expect(await peer.hear()).toMatchObject(answer);
    expect(await peer.hear()).toMatchObject(answer);
    peer.say(STATUS);
    expect(await peer.hear()).toMatchObject(answer);
  });

  test("to open logs anew is done", async () => {
    const bed = new ControlBed();
    await open(bed);
    expect(await askControl(bed.path, { do: "reopen" })).toEqual({ is: "done", generation: 1 });
    expect(bed.node.reopened).toBe(1);
  });

  test("for a renewal is answered with how far it has come, and in the end with what came of it", async () => {
    const bed = new ControlBed();
    await open(bed);
    const heard: string[] = [];
    const asked = askControl(bed.path, { do: "upgrade", binary: "/next" }, (text) => heard.push(text));
    await bed.node.awaitAsked();
    expect(bed.node.asked).toEqual([{ kind: "upgrade", binary: "/next" }]);
    bed.node.tell("workers start");
    // However long it takes: nobody is idle who waits.
    bed.timers.advance(10 * LIMITS.controlIdleMsMax);
    bed.node.settle({ ok: true, generation: 2 });
    expect(await asked).toEqual({ is: "done", generation: 2 });
    expect(heard).toEqual(["workers start"]);
  });

  test("that cannot be granted is answered with the reason and the remedy", async () => {
    const bed = new ControlBed();
    await open(bed);
    const asked = askControl(bed.path, { do: "reload" });
    await bed.node.awaitAsked();
    bed.node.settle({ ok: false, reason: "generation 1 drains", remedy: "wait 3 s" });
    const refused = { is: "refused", code: "failed", reason: "generation 1 drains", remedy: "wait 3 s" } as const;
    expect(await asked).toEqual(refused);
  });

  test("of nobody who waits any more is finished all the same", async () => {
    const bed = new ControlBed();
    await open(bed);
    const peer = new RawPeer(bed.path);
    peer.say('{"v":1,"do":"reload"}\n');
    await bed.node.awaitAsked();
    peer.socket.destroy();
    await peer.ended;
    bed.node.tell("workers start");
    bed.node.settle({ ok: true, generation: 2 });
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });
});

describe("refused, with a word and the end of the connection, is", () => {
  test.each([
    ["another version", '{"v":7,"do":"status"}\n', "version"],
    ["another command", '{"v":1,"do":"sing"}\n', "command"],
    ["what is no JSON", "status please\n", "form"],
    ["a line without end", "x".repeat(LIMITS.controlRequestCharactersMax + 1), "form"],
    [
      "a line that is too long",
      `${JSON.stringify({ v: 1, do: "x".repeat(LIMITS.controlRequestCharactersMax) })}\n`,
      "form",
    ],
  ] as const)("%s", async (_, text, code) => {
    const bed = new ControlBed();
    await open(bed);
    const peer = new RawPeer(bed.path);
    peer.say(text);
    expect(await peer.hear()).toMatchObject({ v: 1, is: "refused", code });
    expect(await peer.hear()).toBeNull();
    expect(bed.counters.controlRefusals).toBe(1);
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });

  test("a second request while the first one runs", async () => {
    const bed = new ControlBed();
    await open(bed);
    const peer = new RawPeer(bed.path);
    peer.say('{"v":1,"do":"reload"}\n{"v":1,"do":"reload"}\n');
    expect(await peer.hear()).toMatchObject({ is: "refused", code: "busy" });
    expect(bed.node.asked).toHaveLength(1);
  });

  test("whoever comes when enough are there", async () => {
    const bed = new ControlBed();
    await open(bed);
    const peers = Array.from({ length: LIMITS.controlConnectionsMax }, () => new RawPeer(bed.path));
    for (const peer of peers) {
      peer.say(STATUS);
      expect(await peer.hear()).toMatchObject({ is: "status" });
    }
    const late = new RawPeer(bed.path);
    expect(await late.hear()).toMatchObject({ is: "refused", code: "busy" });
    expect(await late.hear()).toBeNull();
    peers[0]?.socket.destroy();
    await peers[0]?.ended;
    // The server hears of that end by itself, in its own time.
    for (;;) {
      const answer = await askControl(bed.path, { do: "status" });
      if (typeof answer === "object" && answer.is === "status") break;
    }
  });

  test("whoever says nothing", async () => {
    const bed = new ControlBed();
    await open(bed);
    const silent = new RawPeer(bed.path);
    silent.say(STATUS);
    expect(await silent.hear()).toMatchObject({ is: "status" });
    bed.timers.advance(LIMITS.controlIdleMsMax - 1);
    silent.say(STATUS);
    expect(await silent.hear()).toMatchObject({ is: "status" });
    bed.timers.advance(LIMITS.controlIdleMsMax);
    expect(await silent.hear()).toBeNull();
  });
});

describe("the path", () => {
  test("is this user's alone, and gone afterwards", async () => {
    const bed = new ControlBed();
    const socket = await open(bed);
    expect(statSync(bed.path).mode & 0o7777).toBe(0o600);
    expect(socket.path).toBe(bed.path);
    socket.close();
    socket.close();
    expect(existsSync(bed.path)).toBeFalse();
  });

  test("of a program that runs is not taken", async () => {
    const [bed, other] = [new ControlBed(), new ControlBed()];
    await open(bed);
    expect(await rejectionOf(open(other, bed.path))).toMatchObject({ code: "CONTROL_SOCKET", source: "config" });
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });

  test("of a program that has died is taken over", async () => {
    const bed = new ControlBed();
    const child = Bun.spawnSync([process.execPath, "-e", DYING_LISTENER, bed.path]);
    expect(child.signalCode).toBe("SIGKILL");
    expect(statSync(bed.path).isSocket()).toBeTrue();
    await open(bed);
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });

  test("is left alone at the end when it is another's by then", async () => {
    const [bed, other] = [new ControlBed(), new ControlBed()];
    const socket = await open(bed);
    renameSync(bed.path, join(bed.folder, "moved"));
    await open(other, bed.path);
    socket.close();
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });

  test.each(["file", "link"])("is no place when there is a %s", async (kind) => {
    const bed = new ControlBed();
    if (kind === "file") writeFileSync(bed.path, "precious");
    else symlinkSync(join(bed.folder, "elsewhere"), bed.path);
    expect(await rejectionOf(open(bed))).toMatchObject({ code: "CONTROL_SOCKET" });
    expect(existsSync(join(bed.folder, "elsewhere"))).toBeFalse();
  });

  test.each([0o777, 0o775, 0o757])(
    "is no place in a folder of mode %o, where others may put their own",
    async (mode) => {
      const bed = new ControlBed();
      chmodSync(bed.folder, mode);
      expect(await rejectionOf(open(bed))).toMatchObject({ code: "CONTROL_SOCKET" });
    },
  );

  test("may be in a folder of many where each has his own", async () => {
    const bed = new ControlBed();
    chmodSync(bed.folder, 0o1777);
    await open(bed);
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });

  test("may be in a folder that a link leads to", async () => {
    const bed = new ControlBed();
    const link = join(tempFolder("link"), "run");
    symlinkSync(bed.folder, link);
    await open(bed, join(link, "control.sock"));
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });

  test("is no place without a folder, or when it is too long", async () => {
    const bed = new ControlBed();
    expect(await rejectionOf(open(bed, join(bed.folder, "none", "s")))).toMatchObject({ code: "CONTROL_SOCKET" });
    const long = join(bed.folder, "x".repeat(LIMITS.controlPathBytesMax - bed.folder.length));
    expect(await rejectionOf(open(bed, long))).toMatchObject({ code: "CONTROL_SOCKET" });
  });

  test("is none when it is off", async () => {
    const bed = new ControlBed();
    expect((await open(bed, null)).path).toBeNull();
  });
});

describe("auto", () => {
  test("takes the service's folder, or makes the user's", async () => {
    const bed = new ControlBed();
    const service = tempFolder("service");
    const first = await open(bed, "auto", { RUNTIME_DIRECTORY: `${service}:/another`, XDG_RUNTIME_DIR: bed.folder });
    expect(first.path).toBe(join(service, "control.sock"));
  });

  test("makes a missing folder for this user alone", async () => {
    const bed = new ControlBed();
    const folder = join(bed.folder, "new");
    const socket = await open(bed, "auto", { RUNTIME_DIRECTORY: folder });
    expect(socket.path).toBe(join(folder, "control.sock"));
    expect(statSync(folder).mode & 0o7777).toBe(0o700);
  });

  test("has none beside a program that runs, and says so", async () => {
    const [bed, other] = [new ControlBed(), new ControlBed()];
    const env = { RUNTIME_DIRECTORY: bed.folder };
    await open(bed, "auto", env);
    expect((await open(other, "auto", env)).path).toBeNull();
    expect(other.log.lines).toMatchObject([{ level: "warn", msg: "no control socket" }]);
  });

  test("has none in a folder that others may change, and says so", async () => {
    const bed = new ControlBed();
    const folder = join(bed.folder, "open");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    expect((await open(bed, "auto", { RUNTIME_DIRECTORY: folder })).path).toBeNull();
    expect(bed.log.lines).toMatchObject([{ level: "warn", msg: "no control socket" }]);
  });
});

describe("a program that goes on as another one", () => {
  test("tells whoever waits, and is not found until the next one is there", async () => {
    const bed = new ControlBed();
    const socket = await open(bed);
    const idle = await new RawPeer(bed.path).connected();
    const asked = askControl(bed.path, { do: "upgrade", binary: null });
    await bed.node.awaitAsked();
    await socket.announceReplacement(2);
    expect(await asked).toEqual({ is: "replacing", generation: 2 });
    expect(await askControl(bed.path, { do: "status" })).toBe("nobody");
    idle.socket.destroy();
    await open(bed);
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });

  test("is found again when nothing came of it", async () => {
    const bed = new ControlBed();
    const socket = await open(bed);
    await socket.announceReplacement(2);
    await socket.openAgain();
    expect(await askControl(bed.path, { do: "status" })).toMatchObject({ is: "status" });
  });
});

describe("whoever asks", () => {
  test("hears that nobody is there", async () => {
    expect(await askControl(join(tempFolder("nobody"), "control.sock"), { do: "status" })).toBe("nobody");
  });

  test.each([
    ["goes away", "", "lost"],
    ["says what nobody understands", "hello\n", "unclear"],
    ["speaks another version", '{"v":2,"is":"done","generation":1}\n', "unclear"],
  ] as const)("hears of one that %s", async (_, text, expected) => {
    const path = join(tempFolder("odd"), "s");
    const server = createServer((socket) => void socket.end(text));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(await askControl(path, { do: "status" })).toBe(expected);
    server.close();
  });
});

/** Listens on its argument and ends without cleaning up. */
const DYING_LISTENER = `
  require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"));
`;
