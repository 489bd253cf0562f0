/**
 * Things that are under way, each of which knows where it stands, so that to come and to go costs a few array accesses: a `Set` costs a call of the
 * runtime for either.
 */
import { assert } from "./assert.ts";

/** Something that may stand in one roster. */
export interface Rostered {
  /** For `Roster` alone; -1 while it stands in none. */
  rosterPlace: number;
}

/** All that are under way, in no particular order. */
export class Roster<T extends Rostered> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    assert(member.rosterPlace < 0, "nothing stands in a roster twice");
    member.rosterPlace = this.#members.length;
    this.#members.push(member);
  }

  /** Nothing happens when it is not there. The last one takes its place. */
  remove(member: T): void {
    const { rosterPlace: place } = member;
    if (place < 0) return;
    member.rosterPlace = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return;
    last.rosterPlace = place;
    this.#members[place] = last;
  }

  /** The one at `place`; undefined behind the last. Who goes from the last to the first may remove any, and meets all others that stood there. */
  at(place: number): T | undefined {
    return this.#members[place];
  }
}
