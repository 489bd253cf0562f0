/** Every case file of the suite. */
import type { Case } from "../case.ts";
import { HOST_CASES } from "./host.ts";

/** All cases, in the order in which they are played. */
export const CASES: readonly Case[] = [...HOST_CASES];
