/** Where a request is for: `:authority`, Host, and what backends are told. */
import { expect } from "bun:test";
import type { Case } from "../case.ts";

/** Rows 25 and 28. */
export const HOST_CASES: readonly Case[] = [
  {
    row: 28,
    name: "a request with :authority alone reaches the backend with exactly one Host",
    needs: ["aioquic"],
    run: async (bed) => {
      const connection = await bed.aioquic({ steps: [{ do: "request", path: "/h", authority: "shop.test:8443" }] });
      expect(connection.exchanges[0]).toMatchObject({ status: 200, body: "ok", ended: true });
      const { requests } = await bed.recorder();
      expect(requests).toHaveLength(1);
      expect(requests[0]?.match(/^host:.*$/gim)).toEqual(["host: shop.test:8443"]);
    },
  },
];
