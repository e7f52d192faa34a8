import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { buildMmdb } from "../rules/testdata/build_mmdb.ts";
import type { Administration } from "./administration.ts";
import type { FirewallRules, L7PolicyConfig, RouteConfig, StoredState } from "./config_types.ts";
import { routeSnapshot } from "./route_snapshot.ts";
import { Refusal, type RefusalKind } from "./refusal.ts";
import type { RouteInput } from "./requests.ts";
import { type Store, StoreError } from "./store/store.ts";
import { administer, type Administered } from "./testdata/administered.ts";

const ROUTE: RouteConfig = {
  hostname: "a.test",
  backend: "127.0.0.1:1",
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
};

const UA: L7PolicyConfig = { type: "block_user_agent", value: "BadBot" };
const HEADER: L7PolicyConfig = { type: "require_header", value: "X-Key" };

const STATE: StoredState = {
  listeners: [
    {
      addr: ":443",
      proxyProtocol: false,
      maxConnections: 5,
      routes: [
        ROUTE,
        { ...ROUTE, hostname: "b.test" },
        { ...ROUTE, hostname: "l7.test", mode: "l7", tlsCert: "/c", tlsKey: "/k", l7Policies: [UA] },
      ],
    },
    { addr: ":444", proxyProtocol: true, maxConnections: 0, routes: [] },
  ],
  firewall: { blockedIps: ["192.0.2.1"], blockedCidrs: [], blockedCountries: [] },
};

function input(hostname: string, backend: string): RouteInput {
  return {
    hostname,
    backend,
    mode: "l4",
    send_proxy_protocol: false,
    tls_cert: "",
    tls_key: "",
    backend_tls: false,
    backend_protocol: "",
    backend_ca: "",
    backend_server_name: "",
    backend_pins: [],
    backend_timeout: "1m",
    backend_max_connections: 1_024,
    allow_trace: false,
    l7_policies: [],
  };
}

/** Every change that the workers must know of, one that succeeds on {@linkcode STATE}, and its line in the log. */
const CHANGES: readonly (readonly [
  name: string,
  change: (administration: Administration) => Promise<unknown>,
  line: string,
])[] = [
  [
    "a new route",
    (a) => a.addRoute(":444", input("C.test.", "127.0.0.1:9")),
    'info change what=route_set listener=:444 hostname=c.test new="127.0.0.1:9 l4"',
  ],
  [
    "another route in the place of one",
    (a) => a.addRoute(":443", { ...input("a.test", "[::1]:9"), send_proxy_protocol: true }),
    'info change what=route_set listener=:443 hostname=a.test old="127.0.0.1:1 l4" new="[::1]:9 l4 send_proxy_protocol"',
  ],
  [
    "an L4 route in the place of an L7 one",
    (a) => a.addRoute(":443", input("l7.test", "127.0.0.1:2")),
    "info change what=route_set listener=:443 hostname=l7.test " +
    'old="127.0.0.1:1 l7 tls_cert=/c tls_key=/k block_user_agent BadBot" new="127.0.0.1:2 l4"',
  ],
  [
    "the removal of a route",
    (a) => a.removeRoute(":443", "A.test"),
    'info change what=route_removed listener=:443 hostname=a.test old="127.0.0.1:1 l4"',
  ],
  [
    "a new rule",
    (a) => a.addRule({ type: "cidr", value: "2001:DB8::/32" }),
    'info change what=firewall_rule_added new="cidr 2001:db8::/32"',
  ],
  [
    "the removal of a rule",
    (a) => a.removeRule({ type: "ip", value: "::ffff:192.0.2.1" }),
    'info change what=firewall_rule_removed old="ip 192.0.2.1"',
  ],
  [
    "a limit",
    (a) => a.setMaxConnections(":443", 7),
    "info change what=max_connections_set listener=:443 old=5 new=7",
  ],
];

/** All that a change could have left behind: the database, the workers, the backends, and what is told of them. */
function traces({ administration, served, stored }: Administered) {
  const { listeners, firewall } = stored();
  const edge = served.living.take();
  return {
    stored: {
      listeners: listeners.map((each) => ({ ...each, routes: byHostname(each.routes) })),
      firewall: sorted(firewall),
    },
    living: {
      listeners: edge.listeners.map(({ routes, ...listener }) => ({
        ...listener,
        routes: byHostname(routes),
      })),
      rules: sorted(edge.firewall.rules),
    },
    backends: [...edge.backends.keys()].sort(),
    users: [...served.users].sort(),
    status: administration.status,
  };
}

/** A removed rule that is put back has lost its turn. */
function sorted({ blockedIps, blockedCidrs, blockedCountries }: FirewallRules): FirewallRules {
  return {
    blockedIps: blockedIps.toSorted(),
    blockedCidrs: blockedCidrs.toSorted(),
    blockedCountries: blockedCountries.toSorted(),
  };
}

/** So has a removed route. */
function byHostname<Route extends { readonly hostname: string }>(routes: readonly Route[]): Route[] {
  return routes.toSorted((a, b) => a.hostname < b.hostname ? -1 : 1);
}

async function refusal(change: Promise<unknown>): Promise<{ kind: RefusalKind; message: string }> {
  const error: unknown = await change.then(() => assert.fail("it was made"), (error) => error);
  assert.ok(error instanceof Refusal, String(error));
  return { kind: error.kind, message: error.message };
}

function isAudit(line: string): boolean {
  return line.startsWith("info change ");
}

Deno.test("a change is in the database before a worker is told, and in the log when every worker goes by it", async () => {
  for (const [name, change, line] of CHANGES) {
    using test = administer(STATE);
    const before = traces(test);
    const told = Promise.withResolvers<void>();
    const confirmed = Promise.withResolvers<void>();
    test.served.confirm = () => {
      told.resolve();
      return confirmed.promise;
    };
    let isMade = false;
    const made = change(test.administration).then(() => isMade = true);
    await told.promise;
    assert.notDeepEqual(traces(test).stored, before.stored, name);
    assert.deepEqual([(await test.lines()).filter(isAudit), isMade], [[], false], name);
    confirmed.resolve();
    await made;
    assert.deepEqual((await test.lines()).filter(isAudit), [line], name);
    assert.notDeepEqual(traces(test).living, before.living, name);
  }
});

Deno.test("a change that the database does not take leaves everything as it was", async () => {
  for (const [name, change] of CHANGES) {
    using test = administer(STATE);
    const before = traces(test);
    const db = new DatabaseSync(test.store.path);
    for (const table of ["listeners", "routes", "firewall_rules"]) {
      for (const operation of ["INSERT", "UPDATE", "DELETE"]) {
        db.exec(`CREATE TRIGGER ${table}_${operation} AFTER ${operation} ON ${table} BEGIN
          SELECT RAISE(ABORT, 'database or disk is full'); END`);
      }
    }
    db.close();
    assert.deepEqual(await refusal(change(test.administration)), {
      kind: "unavailable",
      message: `${test.store.path}: the disk is full`,
    }, name);
    assert.deepEqual(traces(test), before, name);
    assert.deepEqual(test.served.applied, [], name);
    assert.deepEqual(await test.lines(), [], name);
  }
});

Deno.test("a change that a worker does not confirm is taken back, in the database and in the workers", async () => {
  for (const [name, change, line] of CHANGES) {
    using test = administer(STATE);
    const before = traces(test);
    test.served.confirm = () => Promise.reject(new Error("a worker is late"));
    assert.deepEqual(await refusal(change(test.administration)), {
      kind: "unavailable",
      message: "a worker is late; nothing was changed",
    }, name);
    assert.deepEqual(traces(test), before, name);
    const [undone] = await test.lines();
    assert.match(
      undone ?? "",
      /^error change_undone what=(set|remove|add)_[a-z_,]+ error="a worker is late" message=/,
      name,
    );

    test.served.confirm = () => Promise.resolve();
    await change(test.administration);
    assert.deepEqual((await test.lines()).slice(1), [line], name);
  }
});

Deno.test("where it cannot be taken back either, what is told is what is stored and served, and the fault is ours", async () => {
  for (const [name, change] of CHANGES) {
    using expected = administer(STATE);
    await change(expected.administration);
    using test = administer(STATE);
    const other = new DatabaseSync(test.store.path);
    test.served.confirm = () => {
      other.exec("BEGIN IMMEDIATE");
      return Promise.reject(new Error("a worker is late"));
    };
    const error: unknown = await change(test.administration).then(() => undefined, (error) => error);
    other.close();
    assert.ok(error instanceof Error && !(error instanceof Refusal), name);
    assert.match(error.message, /^a worker is late, and the change cannot be taken back: .*is locked by another/, name);
    const [{ status, users: _, backends, ...rest }, wanted] = [traces(test), traces(expected)];
    assert.deepEqual(rest, { stored: wanted.stored, living: wanted.living }, name);
    // As with backends, that nothing uses a certificate any more may go unnoticed.
    const told = { ...status, startedAt: 0, certificates: [] };
    assert.deepEqual(told, { ...wanted.status, startedAt: 0, certificates: [] }, name);
    for (const backend of wanted.backends) assert.ok(backends.includes(backend), `${name}: ${backend}`);
  }
});

Deno.test("of changes that are asked for at once, each is made when the one before is, in their order", async () => {
  using test = administer(STATE);
  let underWay = 0;
  test.served.confirm = async () => {
    assert.equal(++underWay, 1);
    await new Promise((resolve) => setTimeout(resolve));
    underWay--;
  };
  const backends = Array.from({ length: 20 }, (_, i) => `127.0.0.1:${i + 2}`);
  const made = await Promise.all(
    backends.map((backend) => test.administration.addRoute(":443", input("a.test", backend))),
  );
  assert.deepEqual(made.map(({ replaced }) => replaced?.backend), [ROUTE.backend, ...backends.slice(0, -1)]);
  assert.equal(test.administration.routes(":443")[0]?.backend, backends.at(-1));
  assert.deepEqual([...test.served.users], [[ROUTE.backend, 2], [backends.at(-1), 1]]);
});

Deno.test("a name that is slow to be looked up holds up its own route alone", async () => {
  using test = administer(STATE);
  const { administration: a, served } = test;
  const found = Promise.withResolvers<void>();
  served.lookUp = (backend) => backend === "slow.test:1" ? found.promise : Promise.resolve();
  const slow = a.addRoute(":443", input("a.test", "slow.test:1"));
  const wrong = refusal(a.addRoute(":445", input("a.test", "slow.test:1")));
  await a.addRule({ type: "ip", value: "192.0.2.2" });
  await a.addRoute(":443", input("a.test", "127.0.0.1:2"));
  assert.equal((await wrong).kind, "invalid");
  found.resolve();
  assert.equal((await slow).replaced?.backend, "127.0.0.1:2");
  assert.deepEqual([...served.users], [["127.0.0.1:1", 2], ["slow.test:1", 1]]);
});

Deno.test("a route whose name is looked up as the server begins to shut down is refused, and nothing is left of it", async () => {
  using test = administer(STATE);
  const before = traces(test);
  const found = Promise.withResolvers<void>();
  test.served.lookUp = () => found.promise;
  const late = refusal(test.administration.addRoute(":443", input("c.test", "c.test:1")));
  await test.administration.drain();
  found.resolve();
  assert.deepEqual(await late, { kind: "unavailable", message: "the server is shutting down" });
  assert.deepEqual(traces(test), { ...before, status: { ...before.status, draining: true } });
});

Deno.test("a change that fails does not keep the next one from being made", async () => {
  using test = administer(STATE);
  const { administration } = test;
  const outcomes = await Promise.allSettled([
    administration.removeRoute(":443", "none.test"),
    administration.addRoute(":443", input("", "")),
    administration.setMaxConnections(":443", 9),
  ]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "rejected", "fulfilled"]);
  assert.equal(administration.status.listeners[0]?.maxConnections, 9);
});

Deno.test("draining waits for the change under way, and refuses those that have not begun", async () => {
  using test = administer(STATE);
  const { administration, served } = test;
  const told = Promise.withResolvers<void>();
  const confirmed = Promise.withResolvers<void>();
  served.confirm = () => {
    told.resolve();
    return confirmed.promise;
  };
  const first = administration.setMaxConnections(":443", 9);
  const second = administration.setMaxConnections(":443", 10);
  await told.promise;
  assert.equal(administration.status.draining, false);
  let isDrained = false;
  const drained = administration.drain().then(() => isDrained = true);
  assert.equal(administration.status.draining, true);
  const late = administration.setMaxConnections(":443", 11);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isDrained, false);
  confirmed.resolve();
  assert.equal(await first, 5);
  const stopping = { kind: "unavailable", message: "the server is shutting down" };
  assert.deepEqual([await refusal(second), await refusal(late)], [stopping, stopping]);
  await drained;
  assert.deepEqual(await refusal(administration.addRule(UA)), stopping);
  assert.equal(test.stored().listeners[0]?.maxConnections, 9);
  assert.equal(administration.routes(":443").length, 3, "what is asked is still answered");
});

Deno.test("what is there already is not made again: no worker is told and nothing is logged", async () => {
  using test = administer(STATE);
  const { administration } = test;
  const before = traces(test);
  const again = await administration.addRoute(":443", input("A.TEST", "127.0.0.1:1"));
  assert.deepEqual(again, { route: ROUTE, replaced: ROUTE, warnings: [] });
  assert.deepEqual(await administration.addRule({ type: "ip", value: "::ffff:192.0.2.1" }), {
    rule: { type: "ip", value: "192.0.2.1" },
    added: false,
  });
  assert.equal(await administration.setMaxConnections(":443", 5), 5);
  assert.equal(await administration.addPolicy(":443", "l7.test", UA), false);
  assert.deepEqual([traces(test), test.served.applied, await test.lines()], [before, [], []]);
});

Deno.test("what is not there cannot be removed, and what is wrong is not taken", async () => {
  using test = administer(STATE);
  const { administration: a } = test;
  const before = traces(test);
  for (
    const [change, kind, message] of [
      [a.removeRoute(":443", "c.test"), "not_found", 'there is no route "c.test" on ":443"'],
      [a.removeRoute(":444", "a.test"), "not_found", 'there is no route "a.test" on ":444"'],
      [a.removeRoute(":443", "a..b"), "invalid", /^hostname: "a\.\.b" is no host name pattern/],
      [a.removeRoute(":445", "a.test"), "invalid", 'listener_addr: there is no listener ":445"; known: ":443", ":444"'],
      [a.removeRule({ type: "ip", value: "192.0.2.2" }), "not_found", 'there is no firewall rule ip "192.0.2.2"'],
      [a.addRule({ type: "country", value: "NL" }), "precondition", /where firewall\.geoip_db names a GeoIP file/],
      [a.addRule({ type: "asn", value: "1" }), "invalid", 'rule.type: expected "ip", "cidr" or "country", got "asn"'],
      [a.setMaxConnections(":443", 1.5), "invalid", /^max_connections: expected a whole number .*, got 1\.5$/],
      [
        a.addPolicy(":443", "a.test", UA),
        "precondition",
        'route "a.test" on ":443" is one of L4, which has no policies',
      ],
      [a.addPolicy(":443", "c.test", UA), "not_found", 'there is no route "c.test" on ":443"'],
      [a.removePolicy(":443", "l7.test", HEADER), "not_found", 'route "l7.test" on ":443" has no such policy'],
    ] as const
  ) {
    const found = await refusal(change);
    assert.equal(found.kind, kind);
    if (typeof message === "string") assert.equal(found.message, message);
    else assert.match(found.message, message);
  }
  assert.deepEqual([traces(test), await test.lines()], [before, []]);
});

Deno.test("policies of an L7 route are tried in the order in which they were added; each change is one line", async () => {
  using test = administer(STATE);
  const { administration: a } = test;
  const curl: L7PolicyConfig = { type: "block_user_agent", value: "curl/8 (x)" };
  assert.equal(await a.addPolicy(":443", "L7.test", HEADER), true);
  assert.equal(await a.addPolicy(":443", "l7.test", curl), true);
  assert.equal(await a.addPolicy(":443", "l7.test", HEADER), false);
  assert.deepEqual(a.policies(":443", "l7.test"), [UA, HEADER, curl]);
  await a.removePolicy(":443", "l7.test", UA);
  assert.deepEqual(a.policies(":443", "l7.test"), [HEADER, curl]);
  assert.equal(await a.addPolicy(":443", "l7.test", UA), true);
  assert.deepEqual(test.stored().listeners[0]?.routes[2]?.l7Policies, [HEADER, curl, UA]);
  const about = "listener=:443 hostname=l7.test";
  assert.deepEqual(await test.lines(), [
    `info change what=policy_added ${about} new="require_header X-Key"`,
    `info change what=policy_added ${about} new="block_user_agent curl/8 (x)"`,
    `info change what=policy_removed ${about} old="block_user_agent BadBot"`,
    `info change what=policy_added ${about} new="block_user_agent BadBot"`,
  ]);
  await assert.rejects(a.addPolicy(":443", "l7.test", { type: "require_header", value: "a b" }), {
    violations: [{ field: "policy.value", description: '"a b" is no header name; write for example "X-Api-Key"' }],
  });
});

Deno.test("a listener is found by its address however that is spelled, as in the configuration", async () => {
  using test = administer(STATE);
  const { administration: a } = test;
  assert.equal(await a.setMaxConnections("[::]:443", 6), 5);
  assert.deepEqual((await a.addRoute("[0::0]:443", input("d.test", "127.0.0.1:9"))).replaced, undefined);
  assert.equal(a.routes("[::]:443").length, 4);
  assert.equal((await a.removeRoute("[::]:443", "d.test")).backend, "127.0.0.1:9");
  assert.equal(await a.addPolicy("[::]:443", "l7.test", HEADER), true);
  assert.deepEqual(a.policies("[::]:443", "l7.test"), [UA, HEADER]);
  await a.removePolicy("[::]:443", "l7.test", HEADER);
  const lines = await test.lines();
  assert.deepEqual(lines.map((line) => /listener=(\S+)/.exec(line)?.[1]), Array(5).fill(":443"));
  assert.equal(test.stored().listeners[0]?.maxConnections, 6);
});

Deno.test("a route that goes takes its policies with it", async () => {
  using test = administer(STATE);
  await test.administration.removeRoute(":443", "l7.test");
  await test.administration.addRoute(":443", input("l7.test", "127.0.0.1:1"));
  assert.deepEqual(test.stored().listeners[0]?.routes[2], { ...ROUTE, hostname: "l7.test" });
});

Deno.test("a backend whose name has no address now is taken with a warning", async () => {
  using test = administer(STATE);
  const { warnings } = await test.administration.addRoute(":443", input("c.test", "nowhere.test:1"));
  assert.deepEqual(warnings, [
    '"nowhere.test:1" has no address at this moment; the route works once its name resolves',
  ]);
  assert.deepEqual(test.served.living.take().backends.get("nowhere.test:1"), []);
});

Deno.test("a GeoIP file that is read anew goes to the workers; one that cannot be used does not, and is counted", async () => {
  const file = (buildEpoch: number) =>
    buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: "NL" } } }], { buildEpoch });
  using test = administer(STATE, { geoip: file(1_700_000_000) });
  const { administration, served } = test;
  Deno.writeFileSync(test.geoipPath, file(1_800_000_000));
  await administration.reloadGeoip();
  assert.deepEqual(served.applied, [[{ kind: "set_geoip", geoip: file(1_800_000_000) }]]);
  Deno.writeTextFileSync(test.geoipPath, "cut short");
  await administration.reloadGeoip();
  assert.equal(served.applied.length, 1);
  const { geoip } = administration.status.firewall;
  assert.deepEqual([geoip?.builtAt.getTime(), geoip?.reloadFailures], [1_800_000_000_000, 1]);
  await administration.addRule({ type: "country", value: "NL" });
  assert.deepEqual(administration.firewallRules(), [{ type: "ip", value: "192.0.2.1" }, {
    type: "country",
    value: "NL",
  }]);
});

Deno.test("without a GeoIP file there is nothing to read anew", async () => {
  using test = administer(STATE);
  await test.administration.reloadGeoip();
  assert.deepEqual([test.served.applied, await test.lines()], [[], []]);
});

/** A store whose next change fails where it is told so. */
function failing(store: Store, fails: () => boolean): Store {
  return new Proxy(store, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const changes = /^(put|remove|add|set|apply)/.test(String(key));
        if (changes && fails()) throw new StoreError(target.path, "the disk is full");
        return Reflect.apply(member, target, args);
      };
    },
  });
}

const hostname = fc.constantFrom("a.test", "b.test", "l7.test", "c.test");
type Operation = (administration: Administration) => Promise<unknown>;
const operation = fc.oneof(
  fc.tuple(fc.constantFrom(":443", ":444"), hostname, fc.constantFrom("127.0.0.1:1", "127.0.0.1:2", "c.test:1"))
    .map(([addr, hostname, backend]): Operation => (a) => a.addRoute(addr, input(hostname, backend))),
  fc.tuple(fc.constantFrom(":443", ":444"), hostname).map(([addr, hostname]): Operation => (a) =>
    a.removeRoute(addr, hostname)
  ),
  fc.tuple(fc.constantFrom("addRule" as const, "removeRule" as const), fc.constantFrom("192.0.2.1", "::1"))
    .map(([name, value]): Operation => (a) => a[name]({ type: "ip", value })),
  fc.nat(2).map((max): Operation => (a) => a.setMaxConnections(":443", max)),
);

Deno.test("whichever changes fail, and at whatever step, database, workers, backends and counts stay of one mind", async () => {
  const step = fc.tuple(operation, fc.constantFrom("none", "store", "workers"));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      let fault = "none";
      const fails = () => fault === "store";
      using test = administer(STATE, { wrap: (store) => failing(store, fails) });
      test.served.confirm = () => fault === "workers" ? Promise.reject(new Error("late")) : Promise.resolve();
      for (const [change, at] of steps) {
        fault = at;
        const before = traces(test);
        const isMade = await change(test.administration).then(() => true, (error) => {
          assert.ok(error instanceof Refusal, String(error));
          return false;
        });
        const { stored: { listeners, firewall }, living, users, backends, status } = traces(test);
        if (!isMade) assert.deepEqual(traces(test), before);
        const served = listeners.map(({ routes, ...listener }) => ({
          ...listener,
          routes: routes.map((route) => routeSnapshot(route, test.served.routeCounts.rows(route))),
        }));
        assert.deepEqual(living.listeners.map(({ hostname: _, port: __, ...listener }) => listener), served);
        assert.deepEqual(new Set(living.rules.blockedIps), new Set(firewall.blockedIps));
        const counted = Map.groupBy(listeners.flatMap(({ routes }) => routes), ({ backend }) => backend);
        assert.deepEqual(users, [...counted].map(([backend, { length }]) => [backend, length]).sort());
        assert.deepEqual(backends, users.map(([backend]) => backend));
        assert.deepEqual(
          status.listeners.map(({ maxConnections, routeCount }) => ({ maxConnections, routeCount })),
          listeners.map(({ maxConnections, routes }) => ({ maxConnections, routeCount: routes.length })),
        );
        assert.equal(status.firewall.ruleCount, firewall.blockedIps.length);
      }
    }),
    { numRuns: 30 },
  );
});
