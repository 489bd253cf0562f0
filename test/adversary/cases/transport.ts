/** Rules below HTTP/3: frames, states, parameters, versions, and what becomes of wrong ones. */
import { expect } from "bun:test";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";
import { runTransports, type TransportPlan } from "../transport.ts";
import { type Probe, PROBES } from "../transport-table.ts";

/** One case for each row, and one more for what quiche decides otherwise than the row requires. */
function probeCases(row: number, name: string): Case[] {
  const [kept, broken] = [PROBES.filter((probe) => !probe.gap), PROBES.filter((probe) => probe.gap)].map((probes) =>
    probes.filter((probe) => probe.row === row),
  );
  const cases: Case[] = [];
  if (kept !== undefined && kept.length > 0) cases.push(probeCase(row, name, kept));
  if (broken !== undefined && broken.length > 0) {
    const gap = [...new Set(broken.map(({ gap: required }) => `required is ${required}`))].join("; ");
    cases.push({ ...probeCase(row, `${name}, left to quiche`, broken), gap });
  }
  return cases;
}

function probeCase(row: number, name: string, probes: readonly Probe[]): Case {
  return {
    row,
    name,
    needs: ["aioquic"],
    run: async (bed: Bed) => {
      const { port } = await bed.start();
      const results = await runTransports(probes.map((probe) => ({ port, ...planOf(probe) })));
      const seen = results.map(({ closed, statuses }, i) => ({
        ...{ stimulus: probes[i]?.stimulus, code: closed?.code ?? null, application: closed?.application ?? false },
        ...{ statuses: closed === null ? statuses : [] },
      }));
      expect(seen).toEqual(
        probes.map(({ stimulus, sent }) => ({
          ...{ stimulus, code: sent, application: false, statuses: sent === null ? [200] : [] },
        })),
      );
    },
  };
}

/** Frames alone come after a handshake; a request afterwards shows whether the connection goes on. */
function planOf({ plan }: Probe): Omit<TransportPlan, "port"> {
  if (typeof plan !== "string") return plan;
  return {
    steps: [{ do: "handshake" }, { do: "packet", frames: plan }, { do: "get", path: "/" }],
  };
}

/** Rows 46 to 52. */
export const TRANSPORT_CASES: readonly Case[] = [
  ...probeCases(46, "more streams, bytes or a final size than agreed on"),
  ...probeCases(47, "frames on streams of the wrong direction, and on streams that do not exist"),
  ...probeCases(48, "transport parameters that a client must not send, or not so"),
  ...probeCases(49, "unknown frames, no frames, and frames that make no sense"),
  ...probeCases(50, "frames that only servers send"),
  ...probeCases(51, "reserved bits"),
  ...probeCases(52, "a client that speaks no HTTP/3"),
];
