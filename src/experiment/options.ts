/** The options of one run, validated; defaults and names are those of the original experiment. */
export interface ExperimentOptions {
  /** Size of each array in bytes. */
  readonly arraySizeBytes: number;
  /** Capacity of the store in bytes. */
  readonly storeBytes: number;
  readonly timeoutMs: number;
  readonly pollIntervalMs: number;
  readonly clients: number;
  readonly rounds: number;
  /** How long a client works on (sleeps over) each array. */
  readonly workMs: number;
  /** Give up mappings at release, so that RSS falls while the store keeps its pages. */
  readonly trim: boolean;
  readonly placement: 'lowest' | 'rotate';
  readonly sampleIntervalMs: number;
  /** Percent of one core that smaps passes may cost. */
  readonly observerBudgetPercent: number;
  /** Absolute folder for series.jsonl and store.log. */
  readonly tmpDir: string;
  /** Folder for captures; null: none are written. */
  readonly captureDir: string | null;
  /** Where the JSON report goes; null: nowhere. */
  readonly jsonFile: string | null;
  readonly quiet: boolean;
}
