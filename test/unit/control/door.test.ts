/** Whoever comes through a door: one request after the other, and never more than is allowed. */
import { describe, expect, test } from "bun:test";
import { Door, type DoorRules } from "../../../src/control/door.ts";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import type { TcpHost } from "../../../src/runtime/tcp-sockets.ts";
import { ManualTimers } from "../../support/manual-timers.ts";
import { RememberingLog } from "../../support/remembering-log.ts";

const TIMEOUT_MS = 100;
const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

/** A connection's other end. */
class Peer {
  heard = "";
  paused = false;
  ended = false;
  destroyed = false;
  takesAll = true;
  host: TcpHost | null = null;

  get statuses(): number[] {
    return [...this.heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]));
  }

  say(text: string): void {
    this.host?.onText(text);
  }

  static at(door: Door): Peer {
    const peer = new Peer();
    peer.host = door.enter({
      send: (bytes) => {
        peer.heard += new TextDecoder().decode(bytes);
        return peer.takesAll;
      },
      pause: () => void (peer.paused = true),
      resume: () => void (peer.paused = false),
      end: () => void (peer.ended = true),
      destroy: () => {
        peer.destroyed = true;
        peer.host?.onClosed();
      },
    });
    return peer;
  }
}

function open(rules: Partial<DoorRules> = {}) {
  const timers = new ManualTimers();
  const [counters, log] = [new Counters(), new RememberingLog()];
  const ok = { status: 200, type: "text/plain", body: "ok\n" };
  const handlers = new Map([
    ["/ok", () => ok],
    [
      "/broken",
      () => {
        throw new Error("no idea");
      },
    ],
  ]);
  const all = { handlers, connectionsMax: 2, connectionTimeoutMs: TIMEOUT_MS, ...rules };
  return { door: new Door(all, { timers, log, counters }), timers, counters, log };
}

describe("a door", () => {
  test("answers one request after the other, in pieces and together", () => {
    const { door, counters } = open();
    const peer = Peer.at(door);
    peer.say(ask("/ok").slice(0, 9));
    expect(peer.heard).toBe("");
    peer.say(ask("/ok").slice(9) + ask("/none") + ask("/broken") + ask("/ok"));
    expect(peer.statuses).toEqual([200, 404, 500, 200]);
    expect(peer.ended).toBe(false);
    expect(counters).toMatchObject({ doorConnections: 1, doorRequests: 4, doorRefusals: 1 });
  });

  test("ends the connection behind what it does not understand, and reads nothing that follows", () => {
    const { door } = open();
    const peer = Peer.at(door);
    peer.say(`POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n${ask("/ok")}`);
    peer.say(ask("/ok"));
    expect(peer.statuses).toEqual([405]);
    expect(peer.heard).toContain("allow: GET, HEAD\r\n");
    expect(peer.ended).toBe(true);
  });

  test("takes no head above its limit", () => {
    const { door } = open();
    const peer = Peer.at(door);
    peer.say(`GET /ok HTTP/1.1\r\nX: ${"x".repeat(LIMITS.doorHeadBytesMax)}`);
    expect(peer.statuses).toEqual([431]);
    expect(peer.ended).toBe(true);
  });

  test("does not wait for a head that comes byte by byte, or for somebody who stays when all is said", () => {
    const { door, timers, counters } = open();
    const [slow, done] = [Peer.at(door), Peer.at(door)];
    done.say("GET /ok HTTP/1.0\r\n\r\n");
    expect(done.ended).toBe(true);
    for (let i = 0; i < 10; i++) {
      slow.say("G");
      timers.advance(TIMEOUT_MS / 10);
    }
    expect([slow.destroyed, done.destroyed]).toEqual([true, true]);
    expect(counters.doorTimeouts).toBe(2);
    expect(timers.waiting).toBe(0);
  });

  test("reads nothing while an answer is not taken, and does not wait for long", () => {
    const { door, timers } = open();
    const [late, never] = [Peer.at(door), Peer.at(door)];
    late.takesAll = never.takesAll = false;
    for (const peer of [late, never]) peer.say(ask("/ok") + ask("/ok"));
    expect([late.paused, late.statuses]).toEqual([true, [200]]);
    late.takesAll = true;
    late.host?.onDrained();
    expect([late.paused, late.statuses]).toEqual([false, [200, 200]]);
    timers.advance(TIMEOUT_MS);
    expect(never.destroyed).toBe(true);
  });

  test("above its connections lets go of whoever was silent longest", () => {
    const { door, counters } = open();
    const [first, second] = [Peer.at(door), Peer.at(door)];
    first.say(ask("/ok"));
    const third = Peer.at(door);
    expect([first.destroyed, second.destroyed, third.destroyed]).toEqual([false, true, false]);
    third.say(ask("/ok"));
    expect(third.statuses).toEqual([200]);
    expect(counters.doorConnectionsCut).toBe(1);
    expect(door.connectionCount).toBe(2);
  });

  test("that retires answers whoever asks and sends away whoever does not, until it goes on", () => {
    const { door } = open({ connectionsMax: 4 });
    const [idle, asking, made] = [Peer.at(door), Peer.at(door), Peer.at(door)];
    idle.say(ask("/ok"));
    asking.say(ask("/ok").slice(0, 5));
    door.retire();
    expect([idle.ended, asking.ended, made.ended]).toEqual([true, false, false]);
    made.say(ask("/ok"));
    expect([made.statuses, made.ended]).toEqual([[200], true]);
    asking.say(ask("/ok").slice(5));
    expect([asking.statuses, asking.ended]).toEqual([[200], true]);
    expect(asking.heard).toContain("connection: close\r\n");
    door.goOn();
    const next = Peer.at(door);
    next.say(ask("/ok"));
    expect(next.heard).toContain("connection: keep-alive\r\n");
  });
});
