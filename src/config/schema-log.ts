/** The keys of the logs: what the program says, and one line for each request. */
import {
  choice,
  eitherOrNull,
  flag,
  integer,
  list,
  map,
  optionalChoice,
  optionalText,
  standardText,
  text,
} from "./words.ts";

const LogFileSchema = map({
  enabled: flag(false, "The original's form: are lines written to `path`?"),
  path: standardText("file", "/var/log/spooky/spooky.log", "The original's form: the file."),
});

const AccessSchema = map(
  {
    enabled: flag(true, "Is there a line for each request?"),
    file: optionalText(
      "file",
      "File that these lines are added to, whatever `log.level` is. Left out: they go where the others go, at level info, or warn where this side " +
        "or a backend failed.",
    ),
    format: optionalChoice(["plain", "json"], "As `log.format`, for these lines. Left out: as there."),
    success_per_million: integer([0, 1_000_000], 1_000_000, {
      unit: "requests",
      description:
        "So many of a million requests that went well with a status of 200 to 299 get a line; all others do in any case.",
    }),
    query: choice(["keep", "redact", "drop"], {
      default: "keep",
      description: "The query of a request's path: as it came, `?[redacted]` in its place, or nothing.",
    }),
    headers: list(text("field-name"), {
      default: [],
      expected: "a list of header names",
      description: "Fields of requests that are written too, as `header_` with the name.",
    }),
    redact_headers: list(text("field-name"), {
      default: ["authorization", "proxy-authorization", "cookie", "client-cert"],
      expected: "a list of header names",
      description: "Of these only that they were there is written, as `[redacted]`.",
    }),
  },
  { default: {}, description: "One line for each request." },
);

/** `log`. */
export const LogSchema = map(
  {
    level: choice(["off", "error", "warn", "info", "debug", "trace"], {
      default: "info",
      description: "Least level that is written.",
    }),
    format: choice(["plain", "json"], {
      default: "plain",
      description: "`plain` for people, `json` for one JSON object a line.",
    }),
    file: eitherOrNull(
      text("file"),
      LogFileSchema,
      "File that lines are added to. Left out: standard output and standard error.",
    ),
    access: AccessSchema,
  },
  { default: {}, description: "Logging." },
);
