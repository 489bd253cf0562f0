/** The runtime's cap of 256 requests at once, and its lifting. */
import { expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { testAuthority } from "../support/certs.ts";
import { waitUntil } from "../support/net.ts";
import { startProcess } from "../support/process.ts";

const COUNT = 1000;

async function begin(protocol: "http1" | "h2", cap: string | undefined) {
  const backend = await startBackend({ protocol });
  const { certPem } = await testAuthority();
  const child = startProcess({
    command: [process.execPath, `${import.meta.dirname}/many-requests.child.ts`, backend.address, String(COUNT)],
    env: { BUN_CONFIG_MAX_HTTP_REQUESTS: cap, CA_PEM: certPem },
  });
  return { backend, child };
}

test.each(["http1", "h2"] as const)(
  "1,000 requests are in flight at once over %s with the cap lifted",
  async (protocol) => {
    const { backend, child } = await begin(protocol, "65336");
    await backend.holding(COUNT);
    expect(backend.counts.active).toBe(COUNT);
    backend.release();
    expect(await child.waitForLine((line) => line.startsWith("ended well"))).toContain(`ended well: ${COUNT}`);
  },
);

test("without it no more than 256 are, which is why the process sets it at its start", async () => {
  const { backend, child } = await begin("http1", undefined);
  await backend.holding(256);
  let requests = 0;
  await waitUntil(() => {
    backend.release();
    requests = Math.max(requests, backend.counts.active);
    return backend.counts.completed === COUNT;
  });
  expect(requests).toBeLessThanOrEqual(256);
  expect(await child.waitForLine((line) => line.startsWith("ended well"))).toContain(`ended well: ${COUNT}`);
});
