/** The symbol table against quiche's own header: a drift in either is a crash in production. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { CFunction, CType } from "../../ffi/abi.ts";
import { LIBC_SYMBOLS } from "../../ffi/libc.symbols.ts";
import { OWN_SYMBOLS } from "../../ffi/own.symbols.ts";
import { QUICHE_SYMBOLS } from "../../ffi/quiche.symbols.ts";
import { QUICHE_HEADER } from "../support/native.ts";

interface Declaration {
  readonly name: string;
  readonly returns: string;
  readonly params: readonly string[];
}

describe("symbol table", () => {
  const header = declarations(readFileSync(QUICHE_HEADER, "utf8"));

  test("every quiche function has the declaration of quiche.h, word for word", () => {
    for (const [name, { c }] of Object.entries(QUICHE_SYMBOLS)) {
      const real = header.get(name) ?? null;
      expect(real, `${name} stands in quiche.h`).not.toBeNull();
      expect(parse(c)).toEqual(real);
    }
  });

  test("every type we bind fits its C type in width, signedness and kind", () => {
    for (const [name, entry] of Object.entries({ ...QUICHE_SYMBOLS, ...OWN_SYMBOLS, ...LIBC_SYMBOLS })) {
      const { args, returns }: CFunction = entry;
      const declared = parse(entry.c);
      expect(declared?.name).toBe(name);
      expect(args.length, `${name} takes as many arguments as C says`).toBe(declared?.params.length ?? -1);
      args.forEach((type, i) => expect(allowed(declared?.params[i] ?? ""), `${name} argument ${i}`).toContain(type));
      expect(allowed(declared?.returns ?? ""), `${name} result`).toContain(returns);
    }
  });

  test("the comparison sees a drift in width, signedness, count and result", () => {
    expect(allowed("uint64_t v")).not.toContain("u32");
    expect(allowed("int64_t v")).not.toContain("u64");
    expect(allowed("size_t len")).not.toContain("isize");
    expect(allowed("const uint8_t *buf")).not.toContain("u64");
    expect(parse("int f(int a)")).not.toEqual(parse("int f(int a, int b)"));
    expect(parse("int f(void)")).not.toEqual(parse("bool f(void)"));
  });
});

/** All function declarations of a header, by name. */
function declarations(text: string): Map<string, Declaration> {
  const plain = text.replace(/\/\/[^\n]*/g, "").replace(/^#.*$/gm, "");
  const found = new Map<string, Declaration>();
  for (const statement of plain.split(";")) {
    const declaration = parse(statement);
    if (declaration !== null) found.set(declaration.name, declaration);
  }
  return found;
}

function parse(statement: string): Declaration | null {
  const flat = statement.replace(/\s+/g, " ").trim();
  const match = /^([\w ]+[ *]+)(\w+)\((.*)\)$/.exec(flat);
  if (match === null) return null;
  const [, returns = "", name = "", list = ""] = match;
  const params = list === "void" || list === "" ? [] : list.split(",").map((param) => param.trim());
  return { name, returns: returns.trim(), params };
}

/** The types of our vocabulary that may stand for a C parameter or result. */
function allowed(declaration: string): readonly CType[] {
  if (/[*[\]]/.test(declaration)) return ["pointer", "buffer"];
  const type = declaration.replace(/\bconst\b/g, "").trim();
  if (/^enum /.test(type)) return ["i32"];
  const [first = "", second = ""] = type.split(" ");
  const known: Readonly<Record<string, CType>> = {
    void: "void",
    bool: "bool",
    int: "i32",
    uint32_t: "u32",
    socklen_t: "u32",
    uint16_t: "u16",
    uint8_t: "u8",
    uint64_t: "u64",
    int64_t: "i64",
    size_t: "usize",
    ssize_t: "isize",
  };
  if (first === "unsigned") return second === "long" ? ["u64", "pointer"] : ["u32"];
  const found = known[first];
  return found === undefined ? [] : [found];
}
