import assert from "node:assert/strict";
import { Health, type HealthSources } from "./health.ts";

interface Changes {
  isAccepting?: boolean;
  up?: number;
  accept?: readonly (readonly [string, string])[];
  draining?: boolean;
  notOpen?: readonly (readonly [addr: string, problem: string])[];
  isSuspended?: boolean;
  services?: readonly string[];
  failedChanges?: number;
}

/** A program of which a test decides how it does, and what is told of that. */
class Stage implements Disposable {
  readonly told: string[] = [];
  readonly watched: boolean[] = [];
  readonly health: Health;
  now = 0;
  writes = 0;
  writeProblem: string | undefined;
  changes: Changes = {};

  constructor() {
    const asked = (): Changes => this.changes;
    const wrote = (): string | undefined => {
      assert.ok(!asked().isSuspended && !asked().draining && asked().isAccepting !== false, "it is another's to write");
      this.writes++;
      return this.writeProblem;
    };
    const sources: HealthSources = {
      get supervisor() {
        const { isAccepting = true, up = 4, accept = [] } = asked();
        return { isAccepting, threads: { wanted: 4, up }, acceptProblems: new Map(accept) };
      },
      get administration() {
        const { draining = false, isSuspended = false, notOpen = [] } = asked();
        const closed = notOpen.map(([addr, problem]) => ({ addr, problem }));
        return { status: { draining, listeners: [{ addr: ":443", problem: undefined }, ...closed] }, isSuspended };
      },
      store: {
        get writeProblem() {
          return wrote();
        },
        get failedChanges() {
          return asked().failedChanges ?? 0;
        },
      },
      services: () => asked().services ?? [],
    };
    this.health = new Health(sources, {
      info: (event) => void this.told.push(event),
      warn: (_, fields) => void this.told.push(Object.values(fields).join()),
    }, () => this.now);
    this.health.watch((isServing) => this.watched.push(isServing));
  }

  [Symbol.dispose](): void {
    this.health.close();
  }
}

Deno.test("a program is healthy when nothing stands against it, of which the log has no line", () => {
  using stage = new Stage();
  assert.deepEqual(stage.health.problems(), []);
  assert.deepEqual([stage.told, stage.watched], [[], [true]]);
});

Deno.test("every reason is told, the first time and when it is another", () => {
  using stage = new Stage();
  stage.writeProblem = "/x.db: the disk is full";
  stage.changes = {
    up: 3,
    notOpen: [[":444", "in use"]],
    accept: [[":443", "EMFILE"]],
    services: ["admin API: accepts no connections: EMFILE"],
  };
  const problems = [
    "listener :444: not open: in use",
    "worker threads: 3 of 4 up",
    "listener :443: accepts no connections: EMFILE",
    "admin API: accepts no connections: EMFILE",
    "database: degraded, changes are refused: /x.db: the disk is full",
  ];
  for (const _ of [1, 2]) assert.deepEqual(stage.health.problems(), problems);
  stage.changes = {};
  for (const _ of [1, 2]) assert.deepEqual(stage.health.problems(), problems.slice(4));
  stage.writeProblem = undefined;
  for (const _ of [1, 2]) assert.deepEqual(stage.health.problems(), []);
  assert.deepEqual(stage.told, [problems.join("; "), problems[4], "healthy"]);
  assert.deepEqual(stage.watched, [true]);
});

Deno.test("whoever watches hears of each change once", () => {
  using stage = new Stage();
  for (const up of [4, 4, 3, 2, 4]) {
    stage.changes = { up };
    stage.health.problems();
  }
  assert.deepEqual(stage.watched, [true, false, true]);
});

Deno.test("until the listeners are open, and while it stops, that is the reason: the log says so in its own words", () => {
  using stage = new Stage();
  stage.changes = { isAccepting: false, up: 0 };
  assert.deepEqual(stage.health.problems(), ["listeners: not open yet"]);
  stage.changes = { draining: true, up: 0 };
  assert.deepEqual(stage.health.problems(), ["shutting down"]);
  assert.deepEqual([stage.writes, stage.told], [0, []]);
});

Deno.test("while the program is handed over, the database is left alone, and that is no reason", () => {
  using stage = new Stage();
  stage.changes = { isSuspended: true };
  assert.deepEqual(stage.health.problems(), []);
  assert.equal(stage.writes, 0);
});

Deno.test("whoever asks has the database written once a second at most, and a problem is looked at each time", () => {
  using stage = new Stage();
  const ask = (now: number) => {
    stage.now = now;
    stage.health.problems();
    return stage.writes;
  };
  assert.deepEqual([ask(0), ask(999), ask(1_000), ask(1_999)], [1, 1, 2, 2]);
  stage.writeProblem = "full";
  assert.deepEqual([ask(2_000), ask(2_001), ask(2_002)], [3, 4, 5]);
  stage.writeProblem = undefined;
  assert.deepEqual([ask(2_003), ask(2_004), ask(3_003)], [6, 6, 7]);
});

Deno.test("after a change that failed, what was found before is not told any more", () => {
  using stage = new Stage();
  stage.health.problems();
  stage.changes = { failedChanges: 1 };
  stage.writeProblem = "full";
  assert.deepEqual(stage.health.problems(), ["database: degraded, changes are refused: full"]);
  stage.writeProblem = undefined;
  for (const _ of [1, 2]) assert.deepEqual(stage.health.problems(), []);
  assert.equal(stage.writes, 3);
});

Deno.test("what is known of the database is no older than a minute", () => {
  using stage = new Stage();
  const known = (now: number) => {
    stage.now = now;
    stage.health.known();
    return stage.writes;
  };
  assert.deepEqual([known(0), known(59_999), known(60_000)], [1, 1, 2]);
});

Deno.test("a start looks at once, and whoever asks after it is not told what was found then", () => {
  using stage = new Stage();
  stage.writeProblem = "full";
  stage.health.start();
  assert.deepEqual(stage.watched, []);
  assert.deepEqual(stage.told, ["database: degraded, changes are refused: full"]);
  stage.writeProblem = undefined;
  assert.deepEqual(stage.health.problems(), []);
  assert.equal(stage.writes, 2);
  assert.deepEqual(stage.watched, [true]);
});
