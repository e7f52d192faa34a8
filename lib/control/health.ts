/**
 * Whether the program serves as it should: the one answer behind `/readyz`, gRPC health and `ctl health`.
 *
 * @module
 */

import type { ThreadCounts } from "../edge/engine.ts";
import type { Log } from "./log.ts";

/** How often to look whether all is well while nobody asks. */
const LOOK_MS = 2_000;

/** How often the database is written to find out whether it can be, while nobody asks: each time wears the disk a little. */
const WRITE_MS = 60_000;

/** For how long one who asks is told what was found before: some ask many times a second. */
const FRESH_MS = 1_000;

/** Who knows. */
export interface HealthSources {
  readonly supervisor: {
    readonly isAccepting: boolean;
    readonly threads: ThreadCounts;
    /** Why the system refuses to accept connections, by the listener's `addr`. */
    readonly acceptProblems: ReadonlyMap<string, string>;
  };
  readonly administration: {
    readonly status: {
      readonly draining: boolean;
      /** `problem`: why it is not open. */
      readonly listeners: readonly { readonly addr: string; readonly problem: string | undefined }[];
    };
    readonly isSuspended: boolean;
  };
  /** `writeProblem` writes to find out; `failedChanges` is how many changes failed so far. */
  readonly store: { readonly writeProblem: string | undefined; readonly failedChanges: number };
  /** What else does not work as it should, one reason each: the admin API, the metrics endpoint. */
  services(): readonly string[];
}

/** See the module. */
export class Health {
  readonly #sources: HealthSources;
  readonly #log: Pick<Log, "info" | "warn">;
  readonly #now: () => number;
  readonly #watchers: ((isServing: boolean) => void)[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  /** When a page was last written. */
  #writtenAt = -Infinity;
  #writeProblem: string | undefined;
  /** How many changes had failed by then. */
  #failedChanges = 0;
  /** What was told last. */
  #told = "";
  #isServing = false;

  /** @param now The time in ms, of a clock that only goes forward. */
  constructor(sources: HealthSources, log: Pick<Log, "info" | "warn">, now: () => number = () => performance.now()) {
    this.#sources = sources;
    this.#log = log;
    this.#now = now;
  }

  /** Looks from time to time, so that the log and watchers hear of what is wrong when nobody asks. */
  start(): void {
    this.#timer = setInterval(() => this.#look(WRITE_MS), LOOK_MS);
    this.#look(0);
    this.#writtenAt -= FRESH_MS; // whoever asks next is the first to ask
  }

  /** Looks no more by itself. */
  close(): void {
    clearInterval(this.#timer);
  }

  /** Has `changed` called when the program begins to serve as it should, or ceases to. */
  watch(changed: (isServing: boolean) => void): void {
    this.#watchers.push(changed);
  }

  /** Why the program does not serve as it should, as it is now, one reason each in one line; none where it does. */
  problems(): readonly string[] {
    return this.#look(FRESH_MS);
  }

  /** The same, but for the database as it was within the last minute: to ask costs no write. */
  known(): readonly string[] {
    return this.#look(WRITE_MS);
  }

  #look(freshMs: number): readonly string[] {
    const problems = this.#find(freshMs);
    this.#tell(problems);
    return problems;
  }

  #find(freshMs: number): string[] {
    const { supervisor, administration } = this.#sources;
    const { draining, listeners } = administration.status;
    if (draining) return [SHUTTING_DOWN];
    // Until then the database is in the transaction of the start.
    if (!supervisor.isAccepting) return [NOT_OPEN];
    const { wanted, up } = supervisor.threads;
    return [
      ...listeners.flatMap(({ addr, problem }) =>
        problem === undefined ? [] : [`listener ${addr}: not open: ${problem}`]
      ),
      ...up < wanted ? [`worker threads: ${up} of ${wanted} up`] : [],
      ...Array.from(
        supervisor.acceptProblems,
        ([addr, reason]) => `listener ${addr}: accepts no connections: ${reason}`,
      ),
      ...this.#sources.services(),
      ...this.#databaseProblems(freshMs),
    ];
  }

  /** What is wrong is looked at again each time; that nothing is, is taken as true for `freshMs`. */
  #databaseProblems(freshMs: number): string[] {
    // While the program is handed over, the database is the new process's to write; traffic does not notice.
    if (this.#sources.administration.isSuspended) return [];
    const { store } = this.#sources;
    const now = this.#now();
    const isDoubtful = this.#writeProblem !== undefined || store.failedChanges !== this.#failedChanges;
    if (isDoubtful || now - this.#writtenAt >= freshMs) {
      this.#writeProblem = store.writeProblem;
      this.#failedChanges = store.failedChanges;
      this.#writtenAt = now;
    }
    return this.#writeProblem === undefined ? [] : [`database: degraded, changes are refused: ${this.#writeProblem}`];
  }

  #tell(problems: readonly string[]): void {
    const isServing = problems.length === 0;
    if (isServing !== this.#isServing) {
      this.#isServing = isServing;
      for (const changed of this.#watchers) changed(isServing);
    }
    if (problems[0] === SHUTTING_DOWN || problems[0] === NOT_OPEN) return; // the log has its own lines for these
    const text = problems.join("; ");
    if (text === this.#told) return;
    this.#told = text;
    if (isServing) this.#log.info("healthy", {});
    else this.#log.warn("unhealthy", { reasons: text });
  }
}

const SHUTTING_DOWN = "shutting down";
const NOT_OPEN = "listeners: not open yet";
