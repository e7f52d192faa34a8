import assert from "node:assert/strict";
import fc from "fast-check";
import { buildMmdb } from "../rules/testdata/build_mmdb.ts";
import { type IpAddress, parseIpAddress } from "../wire/ip_address.ts";
import type { Endpoint } from "../wire/socket_address.ts";
import { applyChange, type EdgeChange, LivingSnapshot, routeTable, type Serving } from "./change.ts";
import { makeFirewall } from "./firewall.ts";
import type { EdgeSnapshot, HttpRoute, RouteSnapshot } from "./snapshot.ts";
import { DEFAULT_TLS } from "./tls_settings.ts";

const HOSTNAMES = ["a.test", "b.a.test", "c.b.a.test", "*.a.test", "*.b.a.test", "*.test", "*"];
const SERVER_NAMES = [undefined, "test", "a.test", "b.a.test", "c.b.a.test", "d.c.b.a.test", "z.a.test", "z.test", "z"];
const BACKENDS = ["one:1", "two:2", "three:3"];
const CLIENTS = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "203.0.113.1", "2001:db8::1", "2001:db8:1::1"].map(ip);
const RULES = [
  { type: "ip", value: "192.0.2.1" },
  { type: "ip", value: "2001:db8::1" },
  { type: "cidr", value: "192.0.2.1/32" }, // the same address, by another rule
  { type: "cidr", value: "192.0.2.0/24" },
  { type: "cidr", value: "2001:db8::/32" },
  { type: "cidr", value: "0.0.0.0/0" },
  { type: "country", value: "NL" },
  { type: "country", value: "CH" },
] as const;
const GEOIP_FILES = [["NL", "CH"], ["CH", "NL"], ["DE", "DE"]].map(([first, second]) =>
  buildMmdb([
    { cidr: "198.51.100.0/24", record: { country: { iso_code: first } } },
    { cidr: "203.0.113.0/24", record: { country: { iso_code: second } } },
  ])
);

function ip(text: string): IpAddress {
  const address = parseIpAddress(text);
  assert.ok(address);
  return address;
}

const HTTP: HttpRoute = {
  certificate: "one",
  backendTls: false,
  backendProtocol: "",
  backendCa: "",
  backendServerName: "",
  backendPins: [],
  backendTimeoutMs: 60_000,
  backendMaxConnections: 1_024,
  allowTrace: false,
  policies: [],
};

const listenerNumber = fc.nat(1);
const maxConnections = fc.nat(3);
const addresses: fc.Arbitrary<readonly Endpoint[]> = fc.subarray(CLIENTS)
  .map((found) => found.map((address, port) => ({ address, port })));
const route: fc.Arbitrary<RouteSnapshot> = fc.record({
  hostname: fc.constantFrom(...HOSTNAMES),
  backend: fc.constantFrom(...BACKENDS),
  sendProxyProtocol: fc.boolean(),
  rows: fc.record({ backend: fc.nat(3), hostname: fc.nat(3) }, { noNullPrototype: true }),
  http: fc.constantFrom(undefined, HTTP),
}, { noNullPrototype: true });

const change: fc.Arbitrary<EdgeChange> = fc.oneof(
  fc.record({ kind: fc.constant("set_backend" as const), name: fc.constantFrom(...BACKENDS), addresses }),
  fc.record({ kind: fc.constant("remove_backend" as const), name: fc.constantFrom(...BACKENDS) }),
  fc.record({ kind: fc.constant("set_route" as const), listener: listenerNumber, route }),
  fc.record({
    kind: fc.constant("remove_route" as const),
    listener: listenerNumber,
    hostname: fc.constantFrom(...HOSTNAMES),
  }),
  fc.record({ kind: fc.constant("set_max_connections" as const), listener: listenerNumber, maxConnections }),
  fc.record({
    kind: fc.constant("set_proxy_protocol" as const),
    listener: listenerNumber,
    proxyProtocol: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom("add_rule" as const, "remove_rule" as const), rule: fc.constantFrom(...RULES) }),
  fc.record({
    kind: fc.constant("set_certificate" as const),
    name: fc.constantFrom("one", "two"),
    certificate: fc.constantFrom({ cert: "a", key: "b" }, { cert: "c", key: "d" }),
  }),
  fc.record({ kind: fc.constant("remove_certificate" as const), name: fc.constantFrom("one", "two") }),
  fc.record({ kind: fc.constant("set_geoip" as const), geoip: fc.constantFrom(...GEOIP_FILES) }),
);

const snapshot: fc.Arbitrary<EdgeSnapshot> = fc.record({
  routes: fc.array(fc.uniqueArray(route, { selector: ({ hostname }) => hostname }), { minLength: 2, maxLength: 2 }),
  maxConnections,
  rules: fc.subarray([...RULES]),
  geoip: fc.constantFrom(undefined, ...GEOIP_FILES),
  backends: fc.subarray(BACKENDS),
  addresses,
}).map(({ routes, maxConnections, rules, geoip, backends, addresses }) => {
  const values = (type: string) => rules.filter((rule) => rule.type === type).map(({ value }) => value);
  return {
    listeners: routes.map((routes, port) => ({
      addr: `:${port}`,
      hostname: "::",
      port,
      proxyProtocol: false,
      maxConnections,
      routes,
    })),
    firewall: {
      rules: { blockedIps: values("ip"), blockedCidrs: values("cidr"), blockedCountries: values("country") },
      geoip,
      rateLimit: 0,
      rateWindowMs: 0,
    },
    backends: new Map(backends.map((name) => [name, addresses])),
    timeouts: { proxyHeaderMs: 1, helloMs: 2, connectMs: 3, idleMs: 4 },
    certificates: new Map([["one", { cert: "e", key: "f" }]]),
    tls: DEFAULT_TLS,
    ticketKeys: [],
    logFormat: "json" as const,
    logPriorities: false,
    reportsConnections: true,
    reportsRequests: true,
  };
});

/** What a worker goes by that begins with `snapshot`. */
function begin(snapshot: EdgeSnapshot) {
  const { listeners, firewall, backends } = structuredClone(snapshot); // as it is posted to a thread
  const living = new Map(backends);
  return {
    listeners: listeners.map(({ routes, ...settings }) => ({ ...settings, routes: routeTable(routes) })),
    firewall: makeFirewall(firewall),
    backends: living,
    setBackend: (name, addresses) => void living.set(name, addresses),
    removeBackend: (name) => void living.delete(name),
  } satisfies Serving & { backends: unknown };
}

/** All that a client, or an operator, could see of it. */
function behaviour({ listeners, firewall, backends }: ReturnType<typeof begin>) {
  return {
    routing: listeners.map(({ routes }) => SERVER_NAMES.map((name) => routes.lookup(name))),
    sizes: listeners.map(({ routes }) => routes.size),
    limits: listeners.map(({ maxConnections, proxyProtocol }) => [maxConnections, proxyProtocol]),
    blocked: CLIENTS.map((client) => firewall.check(client, 0)),
    backends: BACKENDS.map((name) => backends.get(name)),
  };
}

Deno.test("a worker that begins with the living snapshot, at whatever moment, does as one that was there all the time", () => {
  fc.assert(fc.property(snapshot, fc.array(change, { maxLength: 40 }), fc.nat(40), (snapshot, changes, moment) => {
    const old = begin(snapshot);
    const living = new LivingSnapshot(snapshot);
    let late: ReturnType<typeof begin> | undefined;
    for (const [i, change] of changes.entries()) {
      if (i === moment) late = begin(living.take());
      living.apply(change);
      applyChange(old, change);
      if (late !== undefined) applyChange(late, change);
    }
    assert.deepEqual(behaviour(begin(living.take())), behaviour(old));
    if (late !== undefined) assert.deepEqual(behaviour(late), behaviour(old));
  }));
});

Deno.test("a change that is made twice is made once", () => {
  fc.assert(fc.property(snapshot, fc.array(change, { maxLength: 20 }), (snapshot, changes) => {
    const [once, twice] = [begin(snapshot), begin(snapshot)];
    for (const change of changes) {
      for (const serving of [once, twice, twice]) applyChange(serving, change);
    }
    assert.deepEqual(behaviour(twice), behaviour(once));
  }));
});

Deno.test("a snapshot that was taken stays as it is, and so does the one that it began with", () => {
  fc.assert(fc.property(snapshot, fc.array(change, { maxLength: 20 }), (snapshot, changes) => {
    const living = new LivingSnapshot(snapshot);
    const taken = living.take();
    const before = structuredClone(snapshot);
    for (const change of changes) living.apply(change);
    assert.deepEqual(snapshot, before);
    assert.deepEqual(taken.listeners, before.listeners);
    assert.deepEqual(taken.firewall, before.firewall);
    assert.deepEqual(taken.backends, before.backends);
    assert.deepEqual([taken.timeouts, taken.reportsConnections], [before.timeouts, true]);
  }));
});

Deno.test("a change of a listener that is not there is refused by both, and changes nothing", () => {
  const [sample] = fc.sample(snapshot, 1);
  assert.ok(sample);
  const living = new LivingSnapshot(sample);
  const serving = begin(sample);
  const before = behaviour(serving);
  for (
    const change of [
      {
        kind: "set_route",
        listener: 2,
        route: {
          hostname: "*",
          backend: "one:1",
          sendProxyProtocol: false,
          rows: { backend: 0, hostname: 0 },
          http: undefined,
        },
      },
      { kind: "remove_route", listener: -1, hostname: "*" },
      { kind: "set_max_connections", listener: 2, maxConnections: 1 },
      { kind: "set_proxy_protocol", listener: 2, proxyProtocol: true },
    ] as const
  ) {
    assert.throws(() => living.apply(change), RangeError);
    assert.throws(() => applyChange(serving, change), RangeError);
  }
  assert.deepEqual(behaviour(serving), before);
  assert.deepEqual(behaviour(begin(living.take())), before);
});
