/** All that metrics are made of, at one moment. */

/** A process that serves: a worker, or the only one. */
export interface WorkerScene {
  readonly slot: number;
  /** It takes new connections. */
  readonly isActive: boolean;
  readonly connections: number;
  /** null where it could not be learned. */
  readonly residentBytes: number | null;
  /** Names of `gaugeName`; what is not there is zero. */
  readonly gauges: ReadonlyMap<string, number>;
}

/** Something that may have so much of something at most. */
export interface LimitScene {
  /** The key of the configuration. */
  readonly name: string;
  readonly max: number;
  /** The most that any process that serves uses now; null where that is not known. */
  readonly used: number | null;
}

/** A certificate that is shown to clients. */
export interface CertificateScene {
  readonly file: string;
  /** The first name that it is for. */
  readonly serverName: string;
  readonly expiresEpochSeconds: number;
}

/** What became of reloads of the configuration. */
export interface ReloadScene {
  /** How many ended each way. */
  readonly results: Readonly<Record<string, number>>;
  readonly isLastSuccessful: boolean;
  /** When the configuration was last read without fault; at the start when not since. */
  readonly lastSuccessEpochSeconds: number;
}

/** What there is to be shown. */
export interface MetricsScene {
  /** Sums of all processes that there are and were. */
  readonly counts: Readonly<Record<string, number>>;
  readonly workers: readonly WorkerScene[];
  /** Those of the configuration that is in force. */
  readonly pools: readonly { readonly name: string; readonly backends: readonly { readonly id: string }[] }[];
  readonly limits: readonly LimitScene[];
  readonly certificates: readonly CertificateScene[];
  readonly generation: number;
  readonly reloads: ReloadScene;
  readonly nativeHandles: number;
  readonly startedEpochSeconds: number;
  readonly cpuSeconds: number | null;
  readonly residentBytes: number | null;
  readonly machineMemoryBytes: number | null;
  readonly build: {
    readonly version: string;
    readonly commit: string;
    readonly quiche: string;
    readonly runtime: string;
  };
}
