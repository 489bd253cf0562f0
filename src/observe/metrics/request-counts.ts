/**
 * Requests counted by what people ask for first: pool, backend, method and status. The labels are bounded: pools and backends are those of
 * configurations, methods those that HTTP registers, and the statuses of one backend have a maximum. Counting makes nothing but the first
 * time; 60 ns a request (`bench/micro/metrics.ts`).
 */
import type { Counters } from "../../core/counters.ts";
import { Histogram } from "../../core/histogram.ts";
import { labelledName, OTHER_LABEL } from "../../core/labels.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ExchangeOutcome, Recorder } from "../../proxy/ports.ts";

/** Of counts by pool, backend, protocol, method and status. */
export const REQUESTS_NAME = "requests";
/** Of durations by pool. */
export const REQUEST_MS_NAME = "request_ms";

/** Methods of RFC 9110 9.3, and PATCH (RFC 5789); every other one is `other`. */
const METHODS: readonly string[] = [
  ...["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"],
  "other",
];
const METHOD_INDEXES: ReadonlyMap<string, number> = new Map(METHODS.map((method, index) => [method, index]));
const OTHER_METHOD = METHODS.length - 1;
const PROTOCOL = "h3";
/** More than any status, so that method and status are one number. */
const STATUSES = 1024;

/** One series. */
interface Count {
  readonly name: string;
  count: number;
  /** Not said since it last changed. */
  fresh: boolean;
}

/** Durations of a pool's requests. */
interface PoolTimes {
  readonly name: string;
  readonly histogram: Histogram;
  fresh: boolean;
}

/** A backend of a pool; "" where a request came to none. */
interface Row {
  readonly pool: string;
  readonly backend: string;
  readonly times: PoolTimes;
  readonly counts: Map<number, Count>;
}

/** Counts requests, then lets another recorder take note of them. */
export class RequestCounts implements Recorder {
  readonly #counters: Counters;
  /** Whoever takes note of them, too. */
  next: Recorder;
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #times = new Map<string, PoolTimes>();
  #rowCount = 0;
  #freshCounts: Count[] = [];
  #freshTimes: PoolTimes[] = [];

  constructor(counters: Counters, next: Recorder) {
    this.#counters = counters;
    this.next = next;
  }

  record(outcome: ExchangeOutcome): void {
    const row = this.#rows.get(outcome.pool)?.get(outcome.backend) ?? this.#makeRow(outcome.pool, outcome.backend);
    const method = METHOD_INDEXES.get(outcome.method) ?? OTHER_METHOD;
    const count = row.counts.get(method * STATUSES + outcome.status) ?? makeCount(row, method, outcome.status);
    count.count += 1;
    if (!count.fresh) {
      count.fresh = true;
      this.#freshCounts.push(count);
    }
    const { times } = row;
    times.histogram.record(outcome.durationMs);
    if (!times.fresh) {
      times.fresh = true;
      this.#freshTimes.push(times);
    }
    if (outcome.error !== null) this.#counters.requestErrors.add(outcome.error.code);
    this.next.record(outcome);
  }

  /** What has changed since the last call, by names with labels. */
  takeChanged(): Map<string, number> {
    const changed: Record<string, number> = {};
    for (const times of this.#freshTimes) {
      times.histogram.writeTo(changed, times.name);
      times.fresh = false;
    }
    const counts = new Map(Object.entries(changed));
    for (const count of this.#freshCounts) {
      counts.set(count.name, count.count);
      count.fresh = false;
    }
    this.#freshCounts = [];
    this.#freshTimes = [];
    return counts;
  }

  #makeRow(pool: string, backend: string): Row {
    if (this.#rowCount >= LIMITS.countedBackendsMax) return this.#makeOther();
    return this.#keepRow({ pool, backend, times: this.#timesOf(pool), counts: new Map() });
  }

  /** Configurations have named more backends since the start than are told apart. */
  #makeOther(): Row {
    this.#counters.requestsUntold += 1;
    const known = this.#rows.get(OTHER_LABEL)?.get(OTHER_LABEL);
    if (known !== undefined) return known;
    return this.#keepRow({
      pool: OTHER_LABEL,
      backend: OTHER_LABEL,
      times: this.#timesOf(OTHER_LABEL),
      counts: new Map(),
    });
  }

  #keepRow(row: Row): Row {
    const rows = this.#rows.get(row.pool) ?? new Map<string, Row>();
    this.#rows.set(row.pool, rows);
    rows.set(row.backend, row);
    this.#rowCount += 1;
    return row;
  }

  #timesOf(pool: string): PoolTimes {
    const known = this.#times.get(pool);
    if (known !== undefined) return known;
    const times = { name: labelledName(REQUEST_MS_NAME, [pool]), histogram: new Histogram(), fresh: false };
    this.#times.set(pool, times);
    return times;
  }
}

/** A backend that answers with ever other statuses has the further ones counted by their class, `5xx`. */
function makeCount(row: Row, method: number, status: number): Count {
  const isFull = row.counts.size >= LIMITS.countedStatusesMax;
  const key = method * STATUSES + (isFull ? classStatus(status) : status);
  const known = row.counts.get(key);
  if (known !== undefined) return known;
  const text = isFull ? `${Math.floor(status / 100)}xx` : String(status);
  const labels = [row.pool, row.backend, PROTOCOL, METHODS[method] ?? "", text];
  const count = { name: labelledName(REQUESTS_NAME, labels), count: 0, fresh: false };
  row.counts.set(key, count);
  return count;
}

/** 1000 to 1009: no status of three digits. */
function classStatus(status: number): number {
  return 1000 + Math.floor(status / 100);
}
