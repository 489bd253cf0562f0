import { expect, test } from "bun:test";
import type { RouteSettings } from "../../../src/config/snapshot.ts";
import { Random } from "../../../src/core/random.ts";
import { matchRoute } from "../../../src/route/match.ts";
import { compileRoutes } from "../../../src/route/table.ts";
import { referenceMatch } from "./reference.ts";

const SEED = 20_260_801;

test(`10,000 random tables and requests are routed as the plain reference does (seed ${SEED})`, () => {
  const world = new RandomWorld(Random.fromEntropy([SEED]));
  const outcomes = { none: 0, hostless: 0, wildcard: 0, exact: 0 };
  for (let round = 0; round < 10_000; round++) {
    const routes = world.routes();
    const [authority, path, method] = [world.authority(routes), world.path(routes), world.method()];
    const got = matchRoute(compileRoutes(routes.map((settings) => ({ route: settings }))), authority, path, method);
    const wanted = referenceMatch(routes, authority, path, method);
    const asked = { routes, authority, path, method };
    if (got !== wanted) expect({ ...asked, got }).toEqual({ ...asked, got: wanted });
    outcomes[kindOf(routes[wanted])]++;
  }
  // The comparison means something only while every kind of outcome is common.
  for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(500);
});

function kindOf(won: RouteSettings | undefined): "none" | "hostless" | "wildcard" | "exact" {
  if (won === undefined) return "none";
  if (won.host === null) return "hostless";
  return won.host.startsWith("*") ? "wildcard" : "exact";
}

/** Small random tables over few words, so that nesting, ties and near misses are frequent. */
class RandomWorld {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  routes(): RouteSettings[] {
    return this.#list(1, 12, () => ({
      host: this.#pick([null, this.#name(), this.#wildcard(), this.#wildcard(), this.#pick(["[a::1]", "b."])]),
      pathPrefix: this.#prefix(3) || "/",
      method: this.#pick([null, null, null, this.method()]),
    }));
  }

  authority(routes: readonly RouteSettings[]): string {
    const configured = routes[this.#random.nextBelow(routes.length)]?.host ?? this.#name();
    const host = this.#pick([
      configured.replace("*", this.#name()),
      configured.replace("*.", ""),
      this.#name(),
      "[a::1]",
    ]);
    const cased = this.#pick([host, host, host.toUpperCase()]);
    const dotted = /[\].]$/.test(cased) ? cased : this.#pick([cased, cased, `${cased}.`]);
    return this.#pick([dotted, `${dotted}:8443`]);
  }

  path(routes: readonly RouteSettings[]): string {
    const configured = routes[this.#random.nextBelow(routes.length)]?.pathPrefix ?? "/";
    const known = configured === "/" ? "" : configured;
    const rest = this.#pick([this.#prefix(3), this.#segment(), "/", `/${this.#prefix(2)}`, `?${this.#prefix(2)}`]);
    return this.#pick([`${known}${rest}`, this.#prefix(5)]) || "/";
  }

  method(): string {
    return this.#pick(["GET", "POST", "PUT"]);
  }

  #prefix(depthMax: number): string {
    return this.#list(0, depthMax, () => `/${this.#segment()}`).join("");
  }

  #segment(): string {
    return this.#pick(["a", "a", "b", "a-b", "a!", "ab", "a.b", "~", "A", "%61", "%c3%a9"]);
  }

  #name(): string {
    return this.#list(1, 3, () => this.#pick(["a", "a", "b", "xa"])).join(".");
  }

  #wildcard(): string {
    return `*.${this.#pick([this.#name(), "a", "b"])}`;
  }

  #list<T>(lengthMin: number, lengthMax: number, make: () => T): T[] {
    return Array.from({ length: lengthMin + this.#random.nextBelow(lengthMax - lengthMin + 1) }, make);
  }

  #pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.#random.nextBelow(choices.length)] ?? choices[0];
  }
}
