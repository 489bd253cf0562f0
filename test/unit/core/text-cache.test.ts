import { describe, expect, test } from "bun:test";
import { TextCache } from "../../../src/core/text-cache.ts";

function make() {
  const decoded: string[] = [];
  const cache = new TextCache((bytes, at, end) => {
    const text = String.fromCharCode(...bytes.subarray(at, end));
    decoded.push(text);
    return text;
  });
  const textOf = (text: string): string | null => {
    const bytes = Uint8Array.from(`..${text}.`, (character) => character.charCodeAt(0));
    return cache.textOf(bytes, 2, 2 + text.length);
  };
  return { textOf, decoded };
}

describe("TextCache", () => {
  test("a text that was there before is not decoded again, not even these two, which share a place", () => {
    const { textOf, decoded } = make();
    for (const text of ["www.example.org", "/a", "www.example.org", "/a"]) expect(textOf(text)).toBe(text);
    expect(decoded).toEqual(["www.example.org", "/a"]);
  });

  test("each of very many texts comes back as itself, whoever shares its place", () => {
    const { textOf } = make();
    const texts = Array.from({ length: 5000 }, (_, i) => `/${i.toString(36)}`);
    for (const text of [...texts, ...texts.toReversed(), "", "/", "/0", ""]) expect(textOf(text)).toBe(text);
  });

  test("bytes that are written over later do not change what was given out", () => {
    const { textOf } = make();
    const first = textOf("/one");
    textOf("/two");
    expect(first).toBe("/one");
  });

  test("long texts are decoded each time, and what is not ASCII is left to others", () => {
    const { textOf, decoded } = make();
    const long = "x".repeat(65);
    expect([textOf(long), textOf(long), textOf("caf\xe9")]).toEqual([long, long, null]);
    expect(decoded.length).toBe(2);
  });
});
