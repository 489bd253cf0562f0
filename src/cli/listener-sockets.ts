/**
 * The UDP sockets of a node: for each listener one for every slot of both banks, steered alike. A listener that another configuration has, or
 * has no more, comes and goes with the crews that read it.
 */
import { pathText } from "../config/document.ts";
import { addressText, listenerNames, overlap } from "../config/listeners.ts";
import type { ListenSettings, Snapshot } from "../config/snapshot.ts";
import type { Handover, ListenerHandover } from "../control/handover.ts";
import type { Ways } from "../control/supervisor-parts.ts";
import { must } from "../core/assert.ts";
import { ProxyError } from "../core/error.ts";
import type { Logger } from "../observe/log.ts";
import { encodeProgram } from "../quic/cbpf.ts";
import { type SlotRange, type SteeringPlan, steeringProgram } from "../quic/steer.ts";
import type { Library } from "../../ffi/library.ts";
import { formatAddress } from "../../ffi/sockaddr.ts";
import { attachSteering } from "../../ffi/steering.ts";
import { adoptUdpSocket, openUdpGroup } from "../../ffi/udp-group.ts";
import type { BoundSocket, UdpOptions } from "../../ffi/udp-open.ts";
import { renewUdpSockets } from "../../ffi/udp-renew.ts";

/** What they stand on. */
export interface ListenerSocketsParts {
  readonly library: Library;
  readonly log: Logger;
  readonly bankSlots: number;
  /** How ids read, which is the same for all. */
  readonly marks: Pick<SteeringPlan, "mark" | "multiplier">;
}

/** One listener's. */
interface Group {
  /** Of `listenerNames`. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** In the order of their slots. */
  readonly sockets: readonly BoundSocket[];
  /** The crews of which banks read it. */
  readonly banks: Set<number>;
}

/** All of them. */
export class ListenerSockets {
  readonly #parts: ListenerSocketsParts;
  readonly #groups = new Map<string, Group>();
  /** As they are now; null before the first. */
  #ways: Ways | null = null;

  private constructor(parts: ListenerSocketsParts) {
    this.#parts = parts;
  }

  /** Those of a first crew. Throws what `openUdpGroup` throws, with nothing left open. */
  static open(parts: ListenerSocketsParts, snapshot: Snapshot): ListenerSockets {
    const all = new ListenerSockets(parts);
    try {
      all.prepare(snapshot);
    } catch (thrown) {
      all.close();
      throw thrown;
    }
    for (const { banks } of all.#groups.values()) banks.add(0);
    return all;
  }

  /** Those that the program before has left. */
  static adopt(parts: ListenerSocketsParts, handover: Handover, snapshot: Snapshot): ListenerSockets {
    const all = new ListenerSockets(parts);
    const adopt = (fd: number, address: string): BoundSocket => adoptUdpSocket(parts.library, fd, address);
    for (const { name, address, port, socketFds, banks } of listenersLeft(handover, snapshot)) {
      const sockets = socketFds.map((fd) => adopt(fd, address));
      all.#groups.set(name, { name, address, port, sockets, banks: new Set(banks) });
    }
    return all;
  }

  /** Opens those of a configuration that are not there. Throws what `openUdpGroup` throws, and names the listener; `discard` closes the others. */
  prepare(snapshot: Snapshot): void {
    const names = listenerNames(snapshot.listeners);
    const missing = snapshot.listeners.map((listen, i) => ({ listen, name: names[i] ?? "" }));
    for (const { listen, name } of missing) if (!this.#groups.has(name)) this.#open(name, listen, snapshot);
  }

  /** Closes those that no crew reads. */
  discard(): void {
    for (const group of this.#groups.values()) if (group.banks.size === 0) this.#close(group);
  }

  /** The descriptors of a slot, one for each listener of a configuration, in their order. */
  fdsOf(snapshot: Snapshot, slot: number): readonly number[] {
    return this.#of(snapshot).map(({ sockets }) => must(sockets[slot], "every slot has a socket").fd);
  }

  /** One socket of each listener of a configuration: what all of a listener have in common can be seen at it. */
  examplesOf(snapshot: Snapshot): readonly BoundSocket[] {
    return this.#of(snapshot).map(({ sockets }) => must(sockets[0], "there are at least two sockets"));
  }

  /** One socket of each listener that a configuration has and the one before had not. */
  added(before: Snapshot, after: Snapshot): readonly BoundSocket[] {
    const names = listenerNames(before.listeners);
    const groups = this.#of(after).filter(({ name }) => !names.includes(name));
    return groups.map(({ sockets }) => must(sockets[0], "there are at least two sockets"));
  }

  /** Those that a configuration does not have: by their names, and where they are. */
  beside(snapshot: Snapshot): readonly { readonly name: string; readonly address: string }[] {
    const names = listenerNames(snapshot.listeners);
    const groups = [...this.#groups.values()].filter(({ name }) => !names.includes(name));
    return groups.map((group) => ({ name: group.name, address: whereText(group) }));
  }

  /**
   * A crew of a configuration gets these slots. Their sockets are emptied, since what lies in them is for workers that are gone, and new
   * listeners are steered to it alone. Throws `SYSTEM_CALL`, with nothing changed.
   */
  enter(snapshot: Snapshot, slots: SlotRange): void {
    const groups = this.#of(snapshot);
    for (const group of groups.filter(({ banks }) => banks.size === 0))
      this.#attach(group, { active: slots, draining: this.#ways?.active ?? null, standIns: [] });
    const fds = groups.flatMap(({ sockets }) =>
      sockets.slice(slots.first, slots.first + slots.count).map(({ fd }) => fd),
    );
    const datagrams = renewUdpSockets(this.#parts.library, fds, bufferSizes(snapshot));
    if (datagrams > 0) this.#parts.log.debug("late datagrams for workers that are gone", { datagrams });
    for (const { banks } of groups) banks.add(bankOf(slots.first));
  }

  /** Nobody of the crew of a bank is left. Closes those that were its alone. */
  leave(bank: number): void {
    for (const group of this.#groups.values()) {
      if (!group.banks.delete(bank) || group.banks.size > 0) continue;
      this.#close(group);
      // With the last one the program ends, or its start has failed.
      if (this.#groups.size > 0) this.#parts.log.info("listener is gone", { address: whereText(group) });
    }
  }

  /** From one datagram to the next, all go these ways. Throws `SYSTEM_CALL`; the ways are as before then. */
  steer(ways: Ways): void {
    const done: Group[] = [];
    try {
      for (const group of this.#groups.values()) if (this.#steerOne(group, ways)) done.push(group);
    } catch (thrown) {
      this.#steerBack(done);
      throw thrown;
    }
    this.#ways = ways;
  }

  handOver(): readonly ListenerHandover[] {
    return [...this.#groups.values()].map(({ sockets, banks, ...place }) => ({
      ...place,
      ...{ socketFds: sockets.map(({ fd }) => fd), banks: [...banks] },
    }));
  }

  /** Once nobody serves any more. Idempotent. */
  close(): void {
    for (const group of this.#groups.values()) this.#close(group);
  }

  #of({ listeners }: Snapshot): readonly Group[] {
    return listenerNames(listeners).map((name) =>
      must(this.#groups.get(name), "a configuration at work has its sockets"),
    );
  }

  #open(name: string, listen: ListenSettings, snapshot: Snapshot): void {
    const { library, bankSlots } = this.#parts;
    const { address, port, path } = listen;
    const place = { address, port };
    const other = [...this.#groups.values()].find((group) => overlap(group, place));
    if (other !== undefined) throw besideItself(listen, other);
    const options: UdpOptions = { ip: address, port, ...bufferSizes(snapshot) };
    try {
      const sockets = openUdpGroup(library, options, 2 * bankSlots);
      this.#groups.set(name, { name, ...place, sockets, banks: new Set() });
    } catch (thrown) {
      if (!(thrown instanceof ProxyError) || snapshot.listeners.length === 1) throw thrown;
      const { code, message, remedy } = thrown;
      throw new ProxyError(code, `${pathText(path)}: ${message}`, {
        cause: thrown,
        ...(remedy === null ? {} : { remedy }),
      });
    }
  }

  #close(group: Group): void {
    for (const { fd } of group.sockets) this.#parts.library.libc.close(fd);
    this.#groups.delete(group.name);
  }

  #attach({ sockets }: Group, ways: Ways): void {
    const { library, marks } = this.#parts;
    const { fd } = must(sockets[0], "there are at least two sockets");
    attachSteering(library, fd, encodeProgram(steeringProgram({ ...marks, ...ways })));
  }

  /** False: none of these crews reads it. One that starts alone has it steered since it began. */
  #steerOne(group: Group, ways: Ways): boolean {
    const own = waysOf(group.banks, ways);
    if (own !== null) this.#attach(group, own);
    return own !== null;
  }

  #steerBack(groups: readonly Group[]): void {
    if (this.#ways === null) return;
    for (const group of groups) {
      try {
        this.#steerOne(group, this.#ways);
      } catch (thrown) {
        if (!(thrown instanceof ProxyError)) throw thrown;
        this.#parts.log.error("datagrams go other ways than before", { address: whereText(group) });
      }
    }
  }
}

/**
 * The ways of a listener that is read by the crews of these banks; null: by none of those that the ways are of. Where only the crew before
 * reads it, that one gets whoever comes. A crew that does not read it keeps its slots, so that datagrams for its connections lie there unread:
 * another worker would take them for strays, and its stateless resets would end what lives.
 */
export function waysOf(banks: ReadonlySet<number>, ways: Ways): Ways | null {
  const { active, draining } = ways;
  if (banks.has(bankOf(active.first))) return ways;
  if (draining === null || !banks.has(bankOf(draining.first))) return null;
  const unread = new Set(ways.standIns.map(({ slot }) => slot));
  const slots = Array.from({ length: draining.count }, (_, i) => draining.first + i);
  const readers = slots.filter((slot) => !unread.has(slot));
  const standIns = slots.flatMap((slot, i) => {
    const by = readers[i % readers.length];
    return by === undefined || !unread.has(slot) ? [] : [{ slot, by }];
  });
  return { active: draining, draining: active, standIns };
}

/** With the port that the system has chosen, where it had to. */
function whereText({ sockets }: Group): string {
  return formatAddress(must(sockets[0], "there are at least two sockets").local);
}

/** There are two: 0 and 1. */
export function bankOf(firstSlot: number): number {
  return firstSlot === 0 ? 0 : 1;
}

function bufferSizes({ connections }: Snapshot): Pick<UdpOptions, "receiveBufferBytes" | "sendBufferBytes"> {
  const { udpReceiveBufferBytes, udpSendBufferBytes } = connections;
  return { receiveBufferBytes: udpReceiveBufferBytes, sendBufferBytes: udpSendBufferBytes };
}

/** A program that knew only one listener has left its sockets alone. */
function listenersLeft(handover: Handover, { listeners }: Snapshot): readonly ListenerHandover[] {
  const { socketFds, supervisor } = handover;
  if (handover.listeners !== undefined) return handover.listeners;
  const [{ address, port }] = listeners;
  const [name = ""] = listenerNames(listeners);
  const crews = [supervisor.active, ...(supervisor.draining === null ? [] : [supervisor.draining])];
  return [{ name, address, port, socketFds, banks: crews.map(({ firstSlot }) => bankOf(firstSlot)) }];
}

/** The kernel gives datagrams to the more exact address at once, and connections of the other one would lose theirs. */
function besideItself({ address, port, path }: ListenSettings, other: Group): ProxyError {
  const where = `UDP ${addressText({ address, port })}`;
  const what = `${pathText(path)}: ${where} cannot be had beside UDP ${addressText(other)}, which this program has until its connections have ended`;
  return new ProxyError("ADDRESS_IN_USE", what, { remedy: "restart it, or take another port" });
}
