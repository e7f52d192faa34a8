import assert from "node:assert/strict";
import fc from "fast-check";
import type { ApplyOptions } from "./administration.ts";
import type { FirewallRules, RouteConfig, StoredState } from "./config_types.ts";
import { Refusal, type RefusalKind } from "./refusal.ts";
import { routeDocumentOf } from "./route_document.ts";
import { routeSnapshot } from "./route_snapshot.ts";
import type { StateInput } from "./state_request.ts";
import { type Store, StoreError } from "./store/store.ts";
import { isSameState } from "./store/stored_state.ts";
import { administer, type Administered } from "./testdata/administered.ts";
import { storedState } from "./testdata/random_state.ts";

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

const RULES: FirewallRules = { blockedIps: ["192.0.2.1"], blockedCidrs: [], blockedCountries: [] };
const LISTENER = { addr: ":443", proxyProtocol: false, maxConnections: 5, routes: [ROUTE] };
const STATE: StoredState = {
  listeners: [LISTENER, { addr: ":444", proxyProtocol: false, maxConnections: 0, routes: [] }],
  firewall: RULES,
};

/** The state as a client asks for it. */
function inputOf({ listeners, firewall }: StoredState): StateInput {
  return {
    listeners: listeners.map(({ addr, proxyProtocol, maxConnections, routes }) => ({
      addr,
      proxy_protocol: proxyProtocol,
      max_connections: maxConnections,
      routes: routes.map(routeDocumentOf),
    })),
    firewall: {
      blocked_ips: firewall.blockedIps,
      blocked_cidrs: firewall.blockedCidrs,
      blocked_countries: firewall.blockedCountries,
    },
  };
}

const PRUNE: ApplyOptions = { prune: true, dryRun: false };
const KEEP: ApplyOptions = { prune: false, dryRun: false };

/** All that a change could have left behind, whatever its order. */
function traces({ administration, served, stored }: Administered) {
  const { listeners, firewall, backends } = served.living.take();
  return {
    stored: canonical(stored()),
    routes: listeners.map(({ routes, ...listener }) => [listener, ...sorted(routes)]),
    rules: Object.values(firewall.rules).map((values: readonly string[]) => values.toSorted()),
    backends: [...backends.keys()].sort(),
    users: [...served.users].sort(),
    counted: [...served.routeCounts.backends()].map(([name]) => name).sort(),
    status: administration.status,
  };
}

function canonical({ listeners, firewall }: StoredState) {
  return {
    listeners: listeners.map(({ routes, ...listener }) => [listener, ...sorted(routes)])
      .sort(([a], [b]) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1),
    rules: Object.values(firewall).map((values: readonly string[]) => values.toSorted()),
  };
}

function sorted<Route extends { readonly hostname: string }>(routes: readonly Route[]): Route[] {
  return routes.toSorted((a, b) => a.hostname < b.hostname ? -1 : 1);
}

async function refusal(change: Promise<unknown>): Promise<{ kind: RefusalKind; message: string }> {
  const error: unknown = await change.then(() => assert.fail("it was made"), (error) => error);
  assert.ok(error instanceof Refusal, String(error));
  return { kind: error.kind, message: error.message };
}

/** L4 routes alone: the files of the others are not there. */
const l4State = storedState.map(({ listeners, firewall }): StoredState => ({
  listeners: listeners.map((listener) => ({
    ...listener,
    routes: listener.routes.map((route) => ({ ...route, mode: "l4" as const })),
  })),
  firewall: { ...firewall, blockedCountries: [] },
}));

Deno.test("whatever the state was, and at whatever step it fails, either all of it is applied or nothing", async () => {
  const fault = fc.constantFrom("none", "store", "workers");
  const steps = fc.array(fc.record({ wanted: l4State, fault, prune: fc.boolean() }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(l4State, steps, async (before, steps) => {
      let fails = false;
      const wrap = (store: Store) => {
        const applyPlan = store.applyPlan.bind(store);
        store.applyPlan = (plan) => {
          if (fails) throw new StoreError(store.path, "the disk is full");
          applyPlan(plan);
        };
        return store;
      };
      using test = administer(before, { wrap });
      const { administration, served } = test;
      let known = before;
      for (const { wanted, fault, prune } of steps) {
        const was = traces(test);
        served.confirm = () => fault === "workers" ? Promise.reject(new Error("late")) : Promise.resolve();
        fails = fault === "store";
        const options = { prune, dryRun: false };
        const planned = await administration.apply(inputOf(wanted), { ...options, dryRun: true });
        const applied = await administration.apply(inputOf(wanted), options).catch((error) => {
          assert.ok(error instanceof Refusal, String(error));
          return undefined;
        });
        served.confirm = () => Promise.resolve();
        if (applied === undefined) assert.deepEqual(traces(test), was);
        else {
          assert.deepEqual(applied.plan, planned.plan);
          known = test.stored();
          if (prune) assert.ok(isSameState(known, wanted));
        }
        const { routes, rules, users, counted, status } = traces(test);
        // What is open serves what is stored, and nothing else.
        const open = before.listeners.map(({ addr }) => addr);
        const stored = open.map((addr) => known.listeners.find((listener) => listener.addr === addr));
        assert.deepEqual(
          routes.map(([, ...each]) => each),
          stored.map((listener) =>
            sorted(listener?.routes ?? []).map((route) => routeSnapshot(route, served.routeCounts.rows(route)))
          ),
        );
        for (const [i, listener] of stored.entries()) {
          if (listener === undefined) continue;
          const [edge] = routes[i] ?? [];
          const { maxConnections, proxyProtocol } = listener;
          assert.deepEqual({ ...edge, maxConnections, proxyProtocol }, edge);
        }
        assert.deepEqual(rules, canonical(known).rules);
        const backends = Map.groupBy(stored.flatMap((listener) => listener?.routes ?? []), ({ backend }) => backend);
        assert.deepEqual(users, [...backends].map(([backend, { length }]) => [backend, length]).sort());
        assert.deepEqual(counted, [...backends.keys()].sort());
        assert.deepEqual(
          status.listeners.map(({ routeCount }) => routeCount),
          stored.map((listener) => listener?.routes.length ?? 0),
        );
        assert.equal(status.firewall.ruleCount, Object.values(known.firewall).flat().length);
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("workers are told once, after the database, and the log when they confirmed: a line each, and one of all", async () => {
  using test = administer(STATE);
  const { administration, served } = test;
  const told = Promise.withResolvers<void>();
  const confirmed = Promise.withResolvers<void>();
  served.confirm = () => {
    told.resolve();
    return confirmed.promise;
  };
  const wanted: StoredState = {
    listeners: [{
      ...LISTENER,
      proxyProtocol: true,
      routes: [{ ...ROUTE, backend: "[::1]:2" }, { ...ROUTE, hostname: "*" }],
    }],
    firewall: { ...RULES, blockedIps: ["192.0.2.2"] },
  };
  const made = administration.apply(inputOf(wanted), PRUNE);
  await told.promise;
  assert.ok(isSameState(test.stored(), wanted));
  assert.deepEqual(await test.lines(), []);
  assert.equal(served.applied.length, 1);
  assert.deepEqual(served.applied[0]?.map(({ kind }) => kind), [
    "set_backend",
    "set_backend",
    "set_proxy_protocol",
    "set_route",
    "set_route",
    "add_rule",
    "remove_rule",
  ]);
  confirmed.resolve();
  const { kept, warnings, opening, closing } = await made;
  assert.deepEqual([kept, warnings, opening, closing], [0, [], [], [":444"]]);
  assert.deepEqual(await test.lines(), [
    'info change what=listener_set listener=:443 old="proxy_protocol=false max_connections=5" ' +
    'new="proxy_protocol=true max_connections=5"',
    'info change what=listener_removed listener=:444 old="proxy_protocol=false max_connections=0"',
    'info change what=route_set listener=:443 hostname=a.test old="127.0.0.1:1 l4" new="[::1]:2 l4"',
    'info change what=route_set listener=:443 hostname=* new="127.0.0.1:1 l4"',
    'info change what=firewall_rule_added new="ip 192.0.2.2"',
    'info change what=firewall_rule_removed old="ip 192.0.2.1"',
    "info change what=applied added=2 changed=2 removed=2",
  ]);
});

Deno.test("what is there already is not made again, and what is only planned is not made at all", async () => {
  using test = administer(STATE);
  const before = traces(test);
  const same = await test.administration.apply(inputOf(STATE), PRUNE);
  assert.deepEqual(same, {
    plan: { listeners: [], routes: [], rules: [] },
    kept: 0,
    warnings: [],
    opening: [],
    closing: [],
  });
  const other = { listeners: [{ ...LISTENER, maxConnections: 6, routes: [] }], firewall: RULES };
  const planned = await test.administration.apply(inputOf(other), { prune: true, dryRun: true });
  assert.deepEqual([planned.plan.listeners.length, planned.plan.routes.length], [2, 1]);
  assert.deepEqual([traces(test), test.served.applied, await test.lines()], [before, [], []]);
});

Deno.test("a listener that is added is stored with its routes, and opens at the next start", async () => {
  using test = administer(STATE);
  const { administration: a, served } = test;
  const added = {
    addr: ":8443",
    proxyProtocol: true,
    maxConnections: 7,
    routes: [{ ...ROUTE, backend: "127.0.0.1:9" }],
  };
  const wanted = { listeners: [...STATE.listeners, added], firewall: RULES };
  assert.deepEqual((await a.apply(inputOf(wanted), PRUNE)).opening, [":8443"]);
  assert.ok(isSameState(test.stored(), wanted));
  assert.deepEqual(served.applied, []);
  assert.deepEqual([...served.users], [["127.0.0.1:1", 1]]);
  assert.deepEqual(a.status.listeners.map(({ addr }) => addr), [":443", ":444"]);
  assert.equal(a.routes(":8443").length, 1);
  assert.deepEqual(await refusal(a.removeRoute(":8443", "a.test")), {
    kind: "precondition",
    message: 'listener ":8443" opens when the server is started again; until then "ctl apply" changes it',
  });
  assert.deepEqual((await a.apply(inputOf(wanted), PRUNE)).opening, [":8443"], "it is told until then");
  const again = { listeners: [...STATE.listeners, { ...added, routes: [] }], firewall: RULES };
  assert.deepEqual((await a.apply(inputOf(again), PRUNE)).opening, [":8443"]);
  assert.ok(isSameState(test.stored(), again));
  assert.deepEqual((await a.apply(inputOf(STATE), PRUNE)).opening, []);
  assert.ok(isSameState(test.stored(), STATE));
  assert.equal((await refusal(a.setMaxConnections(":8443", 1))).kind, "invalid");
});

Deno.test("a listener that is removed loses its routes at once, closes at the next start, and can come back", async () => {
  using test = administer(STATE);
  const { administration: a, served } = test;
  const wanted = { listeners: STATE.listeners.slice(1), firewall: RULES };
  assert.deepEqual((await a.apply(inputOf(wanted), KEEP)).closing, []);
  assert.deepEqual((await a.apply(inputOf(wanted), PRUNE)).closing, [":443"]);
  assert.ok(isSameState(test.stored(), wanted));
  assert.deepEqual(served.living.take().listeners.map(({ routes }) => routes.length), [0, 0]);
  assert.deepEqual(a.status.listeners.map(({ addr, routeCount }) => [addr, routeCount]), [[":443", 0], [":444", 0]]);
  assert.deepEqual(a.routes(":443"), []);
  assert.deepEqual(await refusal(a.setMaxConnections(":443", 1)), {
    kind: "invalid",
    message: 'listener_addr: listener ":443" was removed, and closes when the server is started again; known: ":444"',
  });
  assert.deepEqual((await a.apply(inputOf(STATE), PRUNE)).closing, []);
  assert.ok(isSameState(test.stored(), STATE));
  assert.deepEqual(served.living.take().listeners[0]?.routes.length, 1);
  assert.equal(await a.setMaxConnections(":443", 1), 5);
});

Deno.test("a listener that could not be bound is refused, before a start would fail by it", async () => {
  using test = administer(STATE);
  const { administration: a, served } = test;
  const before = traces(test);
  const asked: string[] = [];
  served.listenProblem = (addr) => {
    asked.push(addr);
    return addr === ":445" ? "cannot listen on :445: the address is in use" : undefined;
  };
  const listeners = (...addrs: readonly string[]) => ({
    listeners: addrs.map((addr) => ({ addr, proxyProtocol: false, maxConnections: 0, routes: [] })),
    firewall: RULES,
  });
  for (const dryRun of [true, false]) {
    assert.deepEqual(await refusal(a.apply(inputOf(listeners(":443", ":446", ":445")), { prune: false, dryRun })), {
      kind: "invalid",
      message: "listeners[2].addr: cannot listen on :445: the address is in use",
    });
  }
  assert.deepEqual(traces(test), before);
  assert.deepEqual(asked, [":446", ":445", ":446", ":445"]);
  asked.length = 0;
  // The port of one that closes is free at the next start; port 0 is any.
  await a.apply(inputOf(listeners("127.0.0.1:443", ":444", "127.0.0.1:0")), PRUNE);
  assert.deepEqual(asked, []);
});

Deno.test("listeners that cannot be bound together are refused, before a start would fail by them", async () => {
  using test = administer(STATE);
  const { administration: a } = test;
  const before = traces(test);
  const listeners = (...addrs: readonly string[]) => ({
    listeners: addrs.map((addr) => ({ addr, proxyProtocol: false, maxConnections: 0, routes: [] })),
    firewall: RULES,
  });
  const rest = "remove one of them, or give one another port";
  const cases: readonly (readonly [addrs: readonly string[], options: ApplyOptions, message: string])[] = [
    [
      ["127.0.0.1:445", "0.0.0.0:445"],
      PRUNE,
      'with "127.0.0.1:445" of listeners[0].addr: both take port 445 of 127.0.0.1',
    ],
    [
      [":444", "[::1]:443"],
      KEEP,
      'with ":443" of the database, which stays without --prune: both take port 443 of ::1',
    ],
  ];
  for (const [addrs, options, message] of cases) {
    for (const dryRun of [true, false]) {
      assert.deepEqual(await refusal(a.apply(inputOf(listeners(...addrs)), { ...options, dryRun })), {
        kind: "invalid",
        message: `listeners[1].addr: "${addrs[1]}" cannot be bound together ${message}; ${rest}`,
      });
    }
  }
  assert.deepEqual(traces(test), before);
  await a.apply(inputOf(listeners(":444", "[::1]:443", "127.0.0.1:443")), PRUNE);
});

Deno.test("of a state that is wrong every place is told, named as in the file, and nothing is made of it", async () => {
  using test = administer(STATE);
  const before = traces(test);
  const wrong = inputOf({
    listeners: [
      { ...LISTENER, maxConnections: -1, routes: [ROUTE, { ...ROUTE, backend: "x" }] },
      { ...LISTENER, routes: [{ ...ROUTE, hostname: "b..test", mode: "l7", tlsCert: "c.pem" }] },
    ],
    firewall: { blockedIps: ["192.0.2.0/24"], blockedCidrs: ["::1/64"], blockedCountries: ["de"] },
  });
  const error: unknown = await test.administration.apply(wrong, PRUNE).catch((error) => error);
  assert.ok(error instanceof Refusal);
  assert.deepEqual(error.violations.map(({ field }) => field).sort(), [
    "firewall.blocked_cidrs[0]",
    "firewall.blocked_countries[0]",
    "firewall.blocked_ips[0]",
    "listeners[0].max_connections",
    "listeners[0].routes[1].backend",
    "listeners[0].routes[1].hostname",
    "listeners[1].addr",
    "listeners[1].routes[0].hostname",
    "listeners[1].routes[0].tls_cert",
    "listeners[1].routes[0].tls_key",
  ]);
  const missing = inputOf({
    listeners: [{ ...LISTENER, routes: [{ ...ROUTE, mode: "l7", tlsCert: "/none/c.pem", tlsKey: "/none/c.key" }] }],
    firewall: RULES,
  });
  for (const dryRun of [true, false]) {
    assert.deepEqual(await refusal(test.administration.apply(missing, { prune: false, dryRun })), {
      kind: "invalid",
      message: "listeners[0].routes[0].tls_cert: /none/c.pem: does not exist; " +
        "listeners[0].routes[0].tls_key: /none/c.key: does not exist",
    });
  }
  const country = inputOf({ listeners: [LISTENER], firewall: { ...RULES, blockedCountries: ["NL"] } });
  assert.equal((await refusal(test.administration.apply(country, PRUNE))).kind, "precondition");
  const none = inputOf({ listeners: [], firewall: RULES });
  assert.deepEqual(await refusal(test.administration.apply(none, PRUNE)), {
    kind: "invalid",
    message: "listeners: there is none; add at least one",
  });
  assert.deepEqual([traces(test), await test.lines()], [before, []]);
});

Deno.test("what has no effect, and a backend whose name has no address now, are taken with a warning", async () => {
  using test = administer(STATE);
  const routes = [{ ...ROUTE, tlsCert: "/c.pem" }, { ...ROUTE, hostname: "b.test", backend: "nowhere.test:1" }];
  const { warnings } = await test.administration.apply(
    inputOf({ listeners: [{ ...LISTENER, routes }], firewall: RULES }),
    KEEP,
  );
  assert.deepEqual(warnings, [
    'listeners[0].routes[0].tls_cert: has no effect where mode is "l4"',
    '"nowhere.test:1" has no address at this moment; the route works once its name resolves',
  ]);
  assert.deepEqual(test.stored().listeners[0]?.routes, routes);
});

Deno.test("a change that others make before its turn is seen: kept without prune, told with it", async () => {
  using test = administer(STATE);
  const { administration: a } = test;
  const [, applied] = await Promise.all([
    a.addRule({ type: "ip", value: "192.0.2.9" }),
    a.apply(inputOf(STATE), KEEP),
  ]);
  assert.deepEqual([applied.kept, applied.plan.rules], [1, []]);
  const [, pruned] = await Promise.all([
    a.setMaxConnections(":443", 9),
    a.apply(inputOf(STATE), PRUNE),
  ]);
  const { routes: _, ...settings } = LISTENER;
  assert.deepEqual(pruned.plan, {
    listeners: [{ before: { ...settings, maxConnections: 9 }, after: settings }],
    routes: [],
    rules: [{ before: { type: "ip", value: "192.0.2.9" }, after: undefined }],
  });
});

Deno.test("a listener that comes back, and then does not, is as it was before", async () => {
  using test = administer(STATE);
  const { administration: a, served } = test;
  await a.apply(inputOf({ listeners: STATE.listeners.slice(1), firewall: RULES }), PRUNE);
  const before = traces(test);
  served.confirm = () => Promise.reject(new Error("late"));
  const other = { ...LISTENER, maxConnections: 9, proxyProtocol: true };
  await refusal(a.apply(inputOf({ listeners: [other, ...STATE.listeners.slice(1)], firewall: RULES }), PRUNE));
  assert.deepEqual(traces(test), before);
});

Deno.test("a route for a listener that is removed before its turn comes is refused", async () => {
  using test = administer(STATE);
  const { administration: a, served } = test;
  const found = Promise.withResolvers<void>();
  served.lookUp = (backend) => backend === "slow.test:1" ? found.promise : Promise.resolve();
  const [route] = inputOf({ ...STATE, listeners: [{ ...LISTENER, routes: [{ ...ROUTE, backend: "slow.test:1" }] }] })
    .listeners[0]?.routes ?? [];
  assert.ok(route);
  const late = refusal(a.addRoute(":443", route));
  await a.apply(inputOf({ listeners: STATE.listeners.slice(1), firewall: RULES }), PRUNE);
  found.resolve();
  assert.equal((await late).kind, "invalid");
  assert.deepEqual([[...served.users], test.stored().listeners.length], [[], 1]);
});
