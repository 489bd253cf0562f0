import { expect, test } from "bun:test";
import { launchWorker } from "../../src/control/worker-process.ts";
import type { Channel, ChannelHost, ProcessEnd, Processes } from "../../src/runtime/processes.ts";
import { openTestLibrary } from "../support/native.ts";

/** A process that ends when the test says so, and a channel that others hold, so that nobody hears of its end. */
class HeldProcesses implements Processes {
  readonly end = Promise.withResolvers<ProcessEnd>();
  host: ChannelHost | null = null;
  closed = 0;

  spawn(): ReturnType<Processes["spawn"]> {
    return { pid: 7, ended: this.end.promise, kill: () => undefined };
  }

  openChannel(_: number, host: ChannelHost): Promise<Channel> {
    this.host = host;
    return Promise.resolve({ send: () => true, unsent: new Uint8Array(), close: () => void (this.closed += 1) });
  }
}

function launch(processes: Processes, said: string[]): void {
  const secret = { id: 0, bytes: new Uint8Array(32) };
  const order = {
    type: "start",
    slot: 0,
    configPath: "",
    configText: "",
    core: null,
    ticketsAreOlder: false,
    held: null,
  } as const;
  launchWorker(
    {
      ...{ processes, library: openTestLibrary(), env: {}, program: null, argument: "worker", socketFds: [0] },
      order: { ...order, secrets: { shared: [secret], ids: [secret] } },
    },
    {
      onReport: ({ type }) => void said.push(type),
      onGibberish: () => void said.push("gibberish"),
      onEnded: ({ code }) => void said.push(`ended ${code}`),
    },
  );
}

test("a worker has ended when its process has, also while others hold its channel", async () => {
  const [processes, said] = [new HeldProcesses(), [] as string[]];
  launch(processes, said);
  processes.end.resolve({ code: 3, signal: null });
  while (said.length === 0) await Bun.sleep(10);
  expect(said).toEqual(["ended 3"]);
  await Promise.resolve();
  expect(processes.closed).toBe(1);
});

test("what a worker said last is heard before its end", async () => {
  const [processes, said] = [new HeldProcesses(), [] as string[]];
  launch(processes, said);
  processes.end.resolve({ code: 0, signal: null });
  await Bun.sleep(0);
  processes.host?.onText("nonsense\n");
  processes.host?.onClosed();
  await Bun.sleep(0);
  expect(said).toEqual(["gibberish", "ended 0"]);
});
