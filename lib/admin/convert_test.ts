import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { formatDuration } from "../control/config_duration.ts";
import {
  BACKEND_PROTOCOLS,
  L7_POLICY_TYPES,
  type L7PolicyConfig,
  ROUTE_MODES,
  type RouteConfig,
} from "../control/config_types.ts";
import { REJECT_REASONS } from "../edge/counters.ts";
import type { FirewallRule } from "../rules/firewall.ts";
import {
  policyInputOf,
  policyMessage,
  policyOf,
  routeInputOf,
  routeMessage,
  routeOf,
  ruleInputOf,
  ruleMessage,
  ruleOf,
  type ServerStatus,
  statusMessage,
  statusOfMessage,
} from "./convert.ts";
import {
  BackendProtocolSchema,
  FirewallRuleSchema,
  FirewallRuleTypeSchema,
  GetStatusResponseSchema,
  L7PolicySchema,
  L7PolicyTypeSchema,
  RouteModeSchema,
  RouteSchema,
} from "./gen/mc_proxy/v1/admin_pb.ts";

const exactly = { noNullPrototype: true } as const;
const text = fc.string({ unit: "grapheme" });

const policy: fc.Arbitrary<L7PolicyConfig> = fc.record(
  { type: fc.constantFrom(...L7_POLICY_TYPES), value: text },
  exactly,
);
const rule: fc.Arbitrary<FirewallRule> = fc.record({
  type: fc.constantFrom("ip", "cidr", "country"),
  value: text,
}, exactly);
const route: fc.Arbitrary<RouteConfig> = fc.record({
  hostname: text,
  backend: text,
  mode: fc.constantFrom(...ROUTE_MODES),
  sendProxyProtocol: fc.boolean(),
  tlsCert: text,
  tlsKey: text,
  backendTls: fc.boolean(),
  backendProtocol: fc.constantFrom(...BACKEND_PROTOCOLS),
  backendCa: text,
  backendServerName: text,
  backendPins: fc.array(text, { maxLength: 3 }),
  backendTimeoutMs: fc.integer({ min: 1, max: 86_400_000 }),
  backendMaxConnections: fc.integer({ min: 1, max: 65_535 }),
  allowTrace: fc.boolean(),
  l7Policies: fc.array(policy, { maxLength: 3 }),
}, exactly);

const date = fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true });
const count = fc.nat(2 ** 31 - 1);
const total = fc.maxSafeNat();

const status: fc.Arbitrary<ServerStatus> = fc.record({
  version: text,
  startedAt: date,
  engine: fc.constantFrom("epoll", "portable"),
  tls: fc.option(
    fc.record({ library: text, path: text, minVersion: text, groups: fc.array(text, { maxLength: 3 }) }, exactly),
    { nil: undefined },
  ),
  workers: count,
  workerFailures: count,
  draining: fc.boolean(),
  problems: fc.array(fc.string()),
  listeners: fc.array(
    fc.record({
      addr: text,
      boundAddr: text,
      problem: fc.option(text, { nil: undefined }),
      proxyProtocol: fc.boolean(),
      maxConnections: count,
      counts: fc.record({
        accepted: total,
        active: count,
        bytesIn: total,
        bytesOut: total,
        rejected: fc.dictionary(fc.constantFrom(...REJECT_REASONS), total, exactly),
      }, exactly),
      routeCount: count,
      routes: fc.array(route, { maxLength: 2 }),
    }, exactly),
    { maxLength: 2 },
  ),
  firewall: fc.record({
    ruleCount: count,
    rateLimit: count,
    rateWindowMs: count,
    geoip: fc.option(
      fc.record({ path: text, builtAt: date, loadedAt: date, reloadFailures: count }, exactly),
      { nil: undefined },
    ),
  }, exactly),
  certificates: fc.array(
    fc.record({
      certFile: text,
      keyFile: text,
      notAfter: fc.option(date, { nil: undefined }),
      routes: fc.array(fc.record({ listener: text, hostname: text }, exactly), { maxLength: 2 }),
      problem: fc.option(text, { nil: undefined }),
      failures: count,
    }, exactly),
    { maxLength: 2 },
  ),
}, exactly);

Deno.test("a route is the same after its way over the wire", () => {
  fc.assert(fc.property(route, (route) => {
    const received = fromBinary(RouteSchema, toBinary(RouteSchema, routeMessage(route)));
    assert.deepEqual(routeOf(received), route);
  }));
});

Deno.test("a route that is sent is asked for as it would stand in the configuration file", () => {
  fc.assert(fc.property(route, (route) => {
    const { hostname, backend, mode, l7Policies } = route;
    assert.deepEqual(routeInputOf(fromBinary(RouteSchema, toBinary(RouteSchema, routeMessage(route)))), {
      hostname,
      backend,
      mode,
      send_proxy_protocol: route.sendProxyProtocol,
      tls_cert: route.tlsCert,
      tls_key: route.tlsKey,
      backend_tls: route.backendTls,
      backend_protocol: route.backendProtocol,
      backend_ca: route.backendCa,
      backend_server_name: route.backendServerName,
      backend_pins: route.backendPins,
      backend_timeout: formatDuration(route.backendTimeoutMs),
      backend_max_connections: route.backendMaxConnections,
      allow_trace: route.allowTrace,
      l7_policies: l7Policies,
    });
  }));
});

Deno.test("policies and rules are the same after their way over the wire", () => {
  fc.assert(fc.property(policy, rule, (policy, rule) => {
    const policyReceived = fromBinary(L7PolicySchema, toBinary(L7PolicySchema, policyMessage(policy)));
    assert.deepEqual([policyOf(policyReceived), policyInputOf(policyReceived)], [policy, policy]);
    const ruleReceived = fromBinary(FirewallRuleSchema, toBinary(FirewallRuleSchema, ruleMessage(rule)));
    assert.deepEqual([ruleOf(ruleReceived), ruleInputOf(ruleReceived)], [rule, rule]);
  }));
});

Deno.test("a status is the same after its way over the wire", () => {
  fc.assert(fc.property(status, (status) => {
    const bytes = toBinary(GetStatusResponseSchema, create(GetStatusResponseSchema, statusMessage(status)));
    assert.deepEqual(statusOfMessage(fromBinary(GetStatusResponseSchema, bytes)), status);
  }));
});

Deno.test("every value of every enum has its name in the configuration, and only those", () => {
  const modes = RouteModeSchema.values.map(({ number }) => routeInputOf(create(RouteSchema, { mode: number })).mode);
  assert.deepEqual(modes, ["l4", ...ROUTE_MODES]);
  const protocols = BackendProtocolSchema.values.map(({ number }) =>
    routeInputOf(create(RouteSchema, { backendProtocol: number })).backend_protocol
  );
  assert.deepEqual(protocols, BACKEND_PROTOCOLS);
  const policies = L7PolicyTypeSchema.values.map(({ number }) =>
    policyInputOf(create(L7PolicySchema, { type: number })).type
  );
  assert.deepEqual(policies, ["", ...L7_POLICY_TYPES]);
  const rules = FirewallRuleTypeSchema.values.map(({ number }) =>
    ruleInputOf(create(FirewallRuleSchema, { type: number })).type
  );
  assert.deepEqual(rules, ["", "ip", "cidr", "country"]);
});

Deno.test("a number that no enum has stays one in a request, to be refused by its field", () => {
  for (const number of [99, -1, 2 ** 31 - 1]) {
    const route = routeInputOf(create(RouteSchema, { mode: number, backendProtocol: number }));
    assert.deepEqual([route.mode, route.backend_protocol], [`${number}`, `${number}`]);
    assert.equal(policyInputOf(create(L7PolicySchema, { type: number })).type, `${number}`);
    assert.equal(ruleInputOf(create(FirewallRuleSchema, { type: number })).type, `${number}`);
  }
});

Deno.test("what a request leaves out is empty, or the default", () => {
  assert.deepEqual(policyInputOf(undefined), { type: "", value: "" });
  assert.deepEqual(ruleInputOf(undefined), { type: "", value: "" });
  assert.deepEqual(routeInputOf(undefined), routeInputOf(create(RouteSchema)));
  assert.equal(routeInputOf(undefined).mode, "l4");
});

Deno.test("an answer with a value that this client does not know is an error that says what to do", () => {
  const unknown: number = 99;
  const newer = { name: "TypeError", message: "the server answered with an unknown value, 99; use its own version" };
  assert.throws(() => routeOf(create(RouteSchema, { mode: unknown })), newer);
  assert.throws(() => routeOf(create(RouteSchema, { backendProtocol: unknown })), newer);
  assert.throws(() => policyOf(create(L7PolicySchema, { type: unknown })), newer);
  assert.throws(() => ruleOf(create(FirewallRuleSchema, { type: unknown })), newer);
  assert.throws(() => policyOf(create(L7PolicySchema)), /a policy without a type/);
  assert.throws(() => ruleOf(undefined), /a rule without a type/);
});

Deno.test("an answer without what every server sends has empty values, not made-up ones", () => {
  const status = statusOfMessage(create(GetStatusResponseSchema));
  assert.deepEqual(status.firewall, { ruleCount: 0, rateLimit: 0, rateWindowMs: 0, geoip: undefined });
  assert.deepEqual([status.startedAt, status.listeners, status.certificates], [new Date(0), [], []]);
});
