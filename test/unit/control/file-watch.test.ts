import { describe, expect, test } from "bun:test";
import { readlinkSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileWatch } from "../../../src/control/file-watch.ts";
import { ProxyError } from "../../../src/core/error.ts";
import { ManualTimers } from "../../support/manual-timers.ts";
import { RememberingLog } from "../../support/remembering-log.ts";
import { tempFolder } from "../../support/temp.ts";

function bed() {
  const folder = tempFolder("watch");
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(cert, "cert 1");
  writeFileSync(key, "key 1");
  const told: string[][] = [];
  const log = new RememberingLog();
  const state = { fits: true, does: true };
  const watch = new FileWatch({
    timers: new ManualTimers(),
    log,
    intervalMs: 1000,
    filesOf: () => [cert, key],
    check: () => {
      if (!state.fits) throw new ProxyError("CERTIFICATE", "key.pem is not the key of cert.pem");
    },
    onChange: (files) => {
      told.push(files.map((file) => file.slice(folder.length + 1)));
      return Promise.resolve(state.does);
    },
  });
  const looks = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await watch.look();
  };
  return { folder, cert, key, told, log, state, looks };
}

describe("watched files", () => {
  test("that stay as they are cause nothing", async () => {
    const { told, looks } = bed();
    await looks(5);
    expect(told).toEqual([]);
  });

  test("are told of once when one has changed and stays so for a look", async () => {
    const { cert, told, looks } = bed();
    writeFileSync(cert, "cert 2");
    await looks(1);
    expect(told).toEqual([]);
    await looks(3);
    expect(told).toEqual([["cert.pem"]]);
  });

  test("that are still being written are waited for", async () => {
    const { cert, told, looks } = bed();
    for (const part of ["c", "ce", "cer"]) {
      writeFileSync(cert, part);
      await looks(1);
    }
    expect(told).toEqual([]);
    await looks(1);
    expect(told).toEqual([["cert.pem"]]);
  });

  test("that were only touched, or written as they were, are not told of", async () => {
    const { cert, key, told, looks } = bed();
    utimesSync(cert, new Date(), new Date(1e12));
    writeFileSync(key, "key 1");
    await looks(3);
    expect(told).toEqual([]);
  });

  test("behind a symbolic link change with the link", async () => {
    const { folder, cert, told, looks } = bed();
    writeFileSync(join(folder, "cert2.pem"), "cert 2");
    symlinkSync("cert2.pem", join(folder, "next"));
    renameSync(join(folder, "next"), cert);
    expect(readlinkSync(cert)).toBe("cert2.pem");
    await looks(3);
    expect(told).toEqual([["cert.pem"]]);
  });

  test("that do not go together yet are warned of once and told of when they do", async () => {
    const { cert, key, told, log, state, looks } = bed();
    state.fits = false;
    writeFileSync(cert, "cert 2");
    await looks(4);
    expect(told).toEqual([]);
    expect(log.lines.map(({ level, fields }) => [level, fields["reason"]])).toEqual([
      ["warn", "key.pem is not the key of cert.pem"],
    ]);
    writeFileSync(key, "key 2");
    state.fits = true;
    await looks(2);
    expect(told).toEqual([["cert.pem", "key.pem"]]);
  });

  test("one that is gone is a change, and one that comes back as it was is none", async () => {
    const { key, told, state, looks } = bed();
    state.fits = false;
    rmSync(key);
    await looks(3);
    state.fits = true;
    writeFileSync(key, "key 1");
    await looks(3);
    expect(told).toEqual([]);
  });

  test("whose change could not be dealt with are told of again, later and later", async () => {
    const { cert, told, state, looks } = bed();
    state.does = false;
    writeFileSync(cert, "cert 2");
    await looks(2);
    expect(told.length).toBe(1);
    await looks(2);
    expect(told.length).toBe(2);
    await looks(3);
    expect(told.length).toBe(2);
    state.does = true;
    await looks(1);
    expect(told.length).toBe(3);
    await looks(20);
    expect(told.length).toBe(3);
  });
});
