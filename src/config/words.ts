/**
 * The words that the schema is written in: numbers with units, texts with forms, choices, maps, lists. The only file that knows
 * TypeBox; what it makes is checked, documented and turned into the JSON Schema as plain data (`shape.ts`).
 */
import { type Static, type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { FormName } from "./forms.ts";
import type { Shape } from "./shape.ts";

/** What a checked value of a schema is. */
export type Checked<Schema extends TSchema> = Static<Schema>;

/** Does TypeBox agree that this is a whole value? Forms of texts and rules over several keys are not its business. */
export function isChecked<Schema extends TSchema>(schema: Schema, value: unknown): value is Static<Schema> {
  return Value.Check(schema, value);
}

/** A day: longer waits are mistakes (seconds taken for milliseconds the other way round), and a timer holds 24 days at most. */
export const DURATION_MS_MAX = 86_400_000;
/** The kernel doubles the wanted size into a signed 32-bit number. */
const SOCKET_BUFFER_BYTES_MAX = 1_073_741_823;
/** A client may have this much in flight; more is memory given away. */
const WINDOW_BYTES_MAX = 1_073_741_824;
type Range = readonly [minimum: number, maximum: number];

/** A whole number with a default. */
export function integer([minimum, maximum]: Range, standard: number, annotations: Partial<Shape>) {
  return Type.Integer({ minimum, maximum, default: standard, ...annotations });
}

/** A whole number, or left out: then there is no such limit. */
export function optionalInteger([minimum, maximum]: Range, annotations: Partial<Shape> & { description: string }) {
  const { description, aliases, scope, ...rest } = annotations;
  const about = { ...(aliases === undefined ? {} : { aliases }), ...(scope === undefined ? {} : { scope }) };
  return Type.Union([Type.Integer({ minimum, maximum, ...rest }), Type.Null()], {
    default: null,
    description,
    ...(rest.unit === undefined ? {} : { unit: rest.unit }),
    ...about,
  });
}

/** A wait, or left out: then there is no end to it. */
export function optionalMilliseconds(description: string) {
  return optionalInteger([1, DURATION_MS_MAX], { unit: "ms", description });
}

/** A wait. */
export function milliseconds(standard: number, description: string) {
  return integer([1, DURATION_MS_MAX], standard, { unit: "ms", description });
}

/** Wanted size of a socket's buffer, bytes. */
export function socketBuffer(description: string) {
  return integer([4096, SOCKET_BUFFER_BYTES_MAX], 8_388_608, { unit: "bytes", scope: "worker", description });
}

/** A flow-control window, bytes. */
export function window(standard: number, description: string) {
  return integer([16_384, WINDOW_BYTES_MAX], standard, { unit: "bytes", description });
}

/** One of some words. */
export function choice<const Word extends string>(words: readonly Word[], annotations: Partial<Shape>) {
  return Type.Union(
    words.map((word) => Type.Literal(word)),
    annotations,
  );
}

/** A whole number, or one word in its place. */
export function integerOr<const Word extends string>(
  word: Word,
  [minimum, maximum]: Range,
  standard: number | Word,
  annotations: Partial<Shape>,
) {
  return Type.Union([Type.Literal(word), Type.Integer({ minimum, maximum })], { default: standard, ...annotations });
}

/** One of some words, or left out. */
export function optionalChoice<const Word extends string>(words: readonly Word[], description: string) {
  return Type.Union([...words.map((word) => Type.Literal(word)), Type.Null()], { default: null, description });
}

/** A text that must be there. */
export function text(form: FormName, description: string = "") {
  return Type.String(description === "" ? { form } : { form, description });
}

/** A text with a default. */
export function standardText(form: FormName, standard: string, description: string) {
  return Type.String({ form, default: standard, description });
}

/** A text that may be missing. */
export function optionalText(form: FormName, description: string) {
  return Type.Union([Type.String({ form }), Type.Null()], { default: null, description });
}

/** Yes or no. */
export function flag(standard: boolean, description: string) {
  return Type.Boolean({ default: standard, description });
}

/** Yes or no, or left out. */
export function optionalFlag(description: string) {
  return orNull(Type.Boolean(), description);
}

/** What may be left out; then it is null. */
export function orNull<Schema extends TSchema>(schema: Schema, description: string) {
  return Type.Union([schema, Type.Null()], { default: null, description });
}

/** One of several, or left out. */
export function eitherOrNull<One extends TSchema, Other extends TSchema>(one: One, other: Other, description: string) {
  return Type.Union([one, other, Type.Null()], { default: null, description });
}

/** A map with these keys and no others. */
export function map<Properties extends TProperties>(properties: Properties, annotations: Partial<Shape> = {}) {
  return Type.Object(properties, { additionalProperties: false, ...annotations });
}

/** A map by names that its author chooses. */
export function named<Schema extends TSchema>(schema: Schema, annotations: Partial<Shape>) {
  return Type.Record(Type.String(), schema, annotations);
}

/** What may be left out without a default; the annotation `unless` says when. */
export function optional<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(schema);
}

/** A list. */
export function list<Schema extends TSchema>(schema: Schema, annotations: Partial<Shape>) {
  return Type.Array(schema, annotations);
}

/** The one value that is allowed. */
export function only<const Word extends string | number>(word: Word, annotations: Partial<Shape>) {
  return Type.Literal(word, { default: word, ...annotations });
}
