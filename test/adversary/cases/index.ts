/** Every case file of the suite. */
import type { Case } from "../case.ts";
import { FRAME_CASES } from "./frames.ts";
import { HOST_CASES } from "./host.ts";

/** All cases, in the order in which they are played. */
export const CASES: readonly Case[] = [...FRAME_CASES, ...HOST_CASES];
