import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import type { StoredState } from "./config_types.ts";
import { countsOf, inverse, planOf, sizeOf, withoutRemovals } from "./plan.ts";
import { migrate } from "./store/migrations.ts";
import { applyPlan, insertState, isSameState, selectState } from "./store/stored_state.ts";
import { storedState } from "./testdata/random_state.ts";

/** What a database with `state` holds after each of these plans. */
function after(state: StoredState, ...plans: readonly Parameters<typeof applyPlan>[1][]): StoredState {
  const db = new DatabaseSync(":memory:");
  try {
    migrate(db, "memory");
    insertState(db, state);
    for (const plan of plans) applyPlan(db, plan);
    return selectState(db);
  } finally {
    db.close();
  }
}

/** The names of all there is. */
function names({ listeners, firewall }: StoredState): Set<string> {
  return new Set([
    ...listeners.map(({ addr }) => addr),
    ...listeners.flatMap(({ addr, routes }) => routes.map(({ hostname }) => `${addr} ${hostname}`)),
    ...Object.values(firewall).flat(),
  ]);
}

Deno.test("a plan makes of one state the other, its inverse takes that back, and what is equal needs none", () => {
  fc.assert(fc.property(storedState, storedState, (before, wanted) => {
    const plan = planOf(before, wanted);
    assert.ok(isSameState(after(before, plan), wanted));
    assert.ok(isSameState(after(before, plan, inverse(plan)), before));
    assert.equal(sizeOf(plan) === 0, isSameState(before, wanted));
    assert.equal(sizeOf(planOf(wanted, after(before, plan))), 0);
    const { added, changed, removed } = countsOf(plan);
    assert.equal(added + changed + removed, sizeOf(plan));
  }));
});

Deno.test("without its removals a plan leaves everything that is there, and says how much of it is not wanted", () => {
  fc.assert(fc.property(storedState, storedState, (before, wanted) => {
    const { plan, kept } = withoutRemovals(planOf(before, wanted));
    const made = after(before, plan);
    assert.deepEqual(names(made), names(before).union(names(wanted)));
    assert.equal(kept, names(before).difference(names(wanted)).size);
    assert.equal(countsOf(plan).removed, 0);
    // What is wanted is there as it is wanted.
    assert.deepEqual(countsOf(planOf(made, wanted)), { added: 0, changed: 0, removed: kept });
  }));
});

Deno.test("the same policies in another order are another route", () => {
  const route = {
    hostname: "a.test",
    backend: "127.0.0.1:1",
    mode: "l7",
    sendProxyProtocol: false,
    tlsCert: "/c",
    tlsKey: "/k",
    backendTls: false,
    backendProtocol: "",
    backendCa: "",
    backendServerName: "",
    backendPins: [],
    backendTimeoutMs: 60_000,
    backendMaxConnections: 1_024,
    allowTrace: false,
    l7Policies: [{ type: "require_header", value: "A" }, { type: "require_header", value: "B" }],
  } as const;
  const firewall = { blockedIps: [], blockedCidrs: [], blockedCountries: [] };
  const listener = { addr: ":443", proxyProtocol: false, maxConnections: 0 };
  const turned = { ...route, l7Policies: route.l7Policies.toReversed() };
  const plan = planOf(
    { listeners: [{ ...listener, routes: [route] }], firewall },
    { listeners: [{ ...listener, routes: [turned] }], firewall },
  );
  assert.deepEqual(plan, { listeners: [], routes: [{ listener: ":443", before: route, after: turned }], rules: [] });
});
