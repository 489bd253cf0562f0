/** A translator with a bad line on the loopback address, in the test's own process. `netns.ts` has one between namespaces. */
import { afterAll } from "bun:test";
import { type LineFaults, openTranslator, type Translator } from "./udp-translator.ts";

/** A running relay. It stops at the end of the test, group or file that started it. */
export type UdpRelay = Omit<Translator, "close">;

/** Relays to a port; each client port gets one of its own towards it, as a translator would give. */
export async function startUdpRelay(toPort: number, faults: LineFaults): Promise<UdpRelay> {
  const host = "127.0.0.1";
  const translator = await openTranslator({
    ...faults,
    nearHost: host,
    farHosts: [host],
    server: { host, port: toPort },
  });
  afterAll(() => translator.close());
  return translator;
}
