/** The changes that are made to a database while the program runs. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { L7PolicyConfig, RouteConfig, StoredState } from "../config_types.ts";
import { Store, StoreError } from "./store.ts";

function route(hostname: string, rest: Partial<RouteConfig> = {}): RouteConfig {
  return {
    hostname,
    backend: "127.0.0.1:8443",
    mode: "l4",
    sendProxyProtocol: false,
    tlsCert: "",
    tlsKey: "",
    backendTls: false,
    backendProtocol: "",
    backendCa: "",
    backendServerName: "",
    backendPins: [],
    backendTimeoutMs: 60_000,
    backendMaxConnections: 1_024,
    allowTrace: false,
    l7Policies: [],
    ...rest,
  };
}

const A: L7PolicyConfig = { type: "block_user_agent", value: "A" };
const B: L7PolicyConfig = { type: "require_header", value: "B" };
const C: L7PolicyConfig = { type: "block_user_agent", value: "C" };

function l7(hostname: string, l7Policies: readonly L7PolicyConfig[]): RouteConfig {
  return route(hostname, { mode: "l7", tlsCert: "/c", tlsKey: "/k", l7Policies });
}

const STATE: StoredState = {
  listeners: [
    { addr: ":443", proxyProtocol: false, maxConnections: 5, routes: [route("a.test"), l7("b.test", [C, A])] },
    { addr: ":444", proxyProtocol: true, maxConnections: 0, routes: [route("a.test")] },
  ],
  firewall: { blockedIps: ["192.0.2.1"], blockedCidrs: [], blockedCountries: ["NL"] },
};

/** Runs `use` with the store of a server that runs on {@linkcode STATE}. */
function withStore(use: (store: Store) => void): void {
  const folder = Deno.makeTempDirSync();
  const store = Store.open(`${folder}/x.db`);
  try {
    store.prepare(STATE);
    store.commit();
    use(store);
  } finally {
    store.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

/** What a server finds that starts on the database now. */
function stateOf({ path }: Store): StoredState {
  const store = Store.open(path);
  try {
    return store.prepare({ ...STATE, listeners: [] }).state;
  } finally {
    store.discard();
  }
}

function execute({ path }: Store, sql: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

Deno.test("a route that is added comes last, one that is replaced keeps its turn; other listeners keep theirs", () => {
  withStore((store) => {
    store.putRoute(":443", route("c.test", { backendProtocol: "h2" }));
    store.putRoute(":443", route("a.test", { backend: "[::1]:1", sendProxyProtocol: true }));
    const routes = [
      route("a.test", { backend: "[::1]:1", sendProxyProtocol: true }),
      l7("b.test", [C, A]),
      route("c.test", { backendProtocol: "h2" }),
    ];
    assert.deepEqual(store.routes(":443"), routes);
    assert.deepEqual(store.routes(":444"), [route("a.test")]);
    for (const each of routes) assert.deepEqual(store.route(":443", each.hostname), each);
    assert.equal(store.route(":444", "c.test"), undefined);
    assert.deepEqual(stateOf(store).listeners.map(({ routes }) => routes), [routes, [route("a.test")]]);
  });
});

Deno.test("a route takes its policies with it, and another of its name has none of them", () => {
  withStore((store) => {
    store.removeRoute(":443", "b.test");
    assert.deepEqual(store.routes(":443"), [route("a.test")]);
    store.putRoute(":443", l7("b.test", [B]));
    assert.deepEqual(store.route(":443", "b.test"), l7("b.test", [B]));
    store.putRoute(":443", route("b.test"));
    assert.deepEqual(store.route(":443", "b.test"), route("b.test"));
    store.removeRoute(":443", "none.test");
    store.removeRoute(":445", "a.test");
    assert.equal(store.routes(":443").length, 2);
  });
});

Deno.test("policies stay in the order in which they were given, whatever it was before", () => {
  withStore((store) => {
    for (const policies of [[C, A, B], [B, C, A], [A], [], [B, A]]) {
      store.putRoute(":443", l7("b.test", policies));
      assert.deepEqual(store.route(":443", "b.test")?.l7Policies, policies);
      assert.deepEqual(store.routes(":443")[1]?.l7Policies, policies);
      assert.deepEqual(stateOf(store).listeners[0]?.routes[1]?.l7Policies, policies);
    }
  });
});

Deno.test("a rule is added once and removed once, and each says whether it was", () => {
  withStore((store) => {
    const rule = { type: "cidr", value: "10.0.0.0/8" } as const;
    assert.deepEqual([store.addRule(rule), store.addRule(rule)], [true, false]);
    assert.deepEqual(store.firewallRules(), { ...STATE.firewall, blockedCidrs: ["10.0.0.0/8"] });
    assert.deepEqual([store.removeRule(rule), store.removeRule(rule)], [true, false]);
    assert.equal(store.removeRule({ type: "ip", value: "NL" }), false, "a rule is its type and its value");
    assert.deepEqual(stateOf(store).firewall, STATE.firewall);
  });
});

Deno.test("a limit is that of one listener", () => {
  withStore((store) => {
    store.setMaxConnections(":443", 2 ** 31 - 1);
    assert.deepEqual(stateOf(store).listeners.map(({ maxConnections }) => maxConnections), [2 ** 31 - 1, 0]);
  });
});

/** Every change, one that would succeed on {@linkcode STATE}, and the table that it changes last. */
const CHANGES: readonly (readonly [name: string, table: string, change: (store: Store) => unknown])[] = [
  ["a new route", "l7_policies", (store) => store.putRoute(":443", l7("c.test", [A, B]))],
  ["another route in the place of one", "l7_policies", (store) => store.putRoute(":443", l7("b.test", [B]))],
  ["the removal of a route", "routes", (store) => store.removeRoute(":443", "b.test")],
  ["a new rule", "firewall_rules", (store) => store.addRule({ type: "ip", value: "::1" })],
  ["the removal of a rule", "firewall_rules", (store) => store.removeRule({ type: "country", value: "NL" })],
  ["a limit", "listeners", (store) => store.setMaxConnections(":443", 1)],
];

/** What SQLite says of a disk (sqlite3ErrStr in its main.c), and what the operator is told. */
const FAILURES = {
  ABORT: ["database or disk is full", /: the disk is full$/],
  FAIL: ["attempt to write a readonly database", /: may not be written: give this user write permission on the file/],
  ROLLBACK: [
    "disk I/O error",
    /: cannot be read or written: the disk is full, broken, or mounted read-only \(I\/O error\)$/,
  ],
} as const;

for (const [outcome, [message, told]] of Object.entries(FAILURES)) {
  Deno.test(`a change in the middle of which SQLite fails is not made at all, and the next one is (${outcome})`, () => {
    for (const [name, table, change] of CHANGES) {
      withStore((store) => {
        for (const operation of ["INSERT", "UPDATE", "DELETE"]) {
          execute(
            store,
            `CREATE TRIGGER fail_${operation} AFTER ${operation} ON ${table} BEGIN
              SELECT RAISE(${outcome}, '${message}'); END`,
          );
        }
        assert.throws(() => change(store), (error) => {
          assert.ok(error instanceof StoreError, `${name}: ${error}`);
          assert.ok(error.message.startsWith(`${store.path}: `), error.message);
          assert.match(error.message, told, name);
          return true;
        });
        assert.deepEqual(stateOf(store), STATE, name);
        for (const operation of ["INSERT", "UPDATE", "DELETE"]) execute(store, `DROP TRIGGER fail_${operation}`);
        change(store);
        assert.notDeepEqual(stateOf(store), STATE, name);
      });
    }
  });
}

Deno.test("a route with what the tables refuse is not put in, nor is half of it", () => {
  withStore((store) => {
    for (
      const [addr, wrong] of [
        [":445", route("c.test")],
        [":443", l7("c.test", [A, B, A])],
        [":443", l7("b.test", [B, B])],
        [":443", route("a.test", { mode: "l7" })],
      ] as const
    ) assert.throws(() => store.putRoute(addr, wrong), StoreError);
    assert.deepEqual(stateOf(store), STATE);
  });
});

Deno.test("a database that was moved away, removed or replaced takes no change until it is back: it would be lost", () => {
  withStore((store) => {
    const { path } = store;
    const removed =
      "was removed while the server runs; put it back, or restart the server, which makes a new one from " +
      "the file";
    const replaced = "is no longer the file that the server opened; put that back, or restart the server";
    const others = [() => {}, () => Deno.copyFileSync(`${path}.old`, path), () => Deno.mkdirSync(path)];
    for (const [i, putAnother] of others.entries()) {
      Deno.renameSync(path, `${path}.old`);
      putAnother();
      for (const [name, , change] of CHANGES) {
        assert.throws(() => change(store), {
          name: "StoreError",
          message: `${path}: ${i === 0 ? removed : replaced}`,
        }, name);
      }
      if (i > 0) Deno.removeSync(path);
      Deno.renameSync(`${path}.old`, path);
    }
    store.setMaxConnections(":443", 1);
    assert.equal(stateOf(store).listeners[0]?.maxConnections, 1);
  });
});

Deno.test("while another program writes, a change fails soon and reading goes on; afterwards it is made", () => {
  withStore((store) => {
    const other = new DatabaseSync(store.path);
    other.exec("BEGIN IMMEDIATE; DELETE FROM listeners");
    assert.throws(() => store.setMaxConnections(":443", 1), {
      name: "StoreError",
      message: `${store.path}: is locked by another process; stop what else writes to it`,
    });
    assert.equal(store.writeProblem, `${store.path}: is locked by another process; stop what else writes to it`);
    assert.deepEqual(store.routes(":443"), STATE.listeners[0]?.routes);
    other.exec("ROLLBACK");
    other.close();
    assert.equal(store.writeProblem, undefined);
    store.setMaxConnections(":443", 1);
    assert.equal(stateOf(store).listeners[0]?.maxConnections, 1);
  });
});
