/** Every field of every RPC, wrong in every way: told by its name, and nothing is stored. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { create, type DescMessage, type DescMethodUnary, type MessageInitShape, ScalarType } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { violationsOf } from "../lib/admin/errors.ts";
import { FirewallRuleType, L7PolicyType, ProxyAdminService, RouteMode } from "../lib/admin/gen/mc_proxy/v1/admin_pb.ts";
import { methodDefinition, servedMethods } from "../lib/admin/grpc.ts";
import { ADDR } from "./harness/admin.ts";
import { L7 } from "./harness/http.ts";

const METHODS = ProxyAdminService.method;
/** All but `WatchStats`, whose one field has a test of its own, and `BeginHandover`, which `takeover_test.ts` is about. */
const UNARY = servedMethods(ProxyAdminService).filter((method) => method.methodKind === "unary");

/** What a wrong value is answered with. */
type Wrong = readonly [value: unknown, description: RegExp];

/** A field of a method, and requests that are wrong in it alone. */
interface Field {
  readonly method: DescMethodUnary;
  /** As violations name it. */
  readonly path: string;
  /** A request that is sound but for this value of the field. */
  readonly request: (value: unknown) => Record<string, unknown>;
  readonly wrong: readonly Wrong[];
}

const LISTENERS: readonly Wrong[] = [
  ["", /^is missing; known: "127\.0\.0\.1:0"$/],
  [":444", /^there is no listener ":444"; known: "127\.0\.0\.1:0"$/],
  ["127.0.0.1", /^there is no listener/],
  ["127.0.0.1:0 ", /^there is no listener/],
  ["\0", /^there is no listener "\\u0000"/],
  ["x".repeat(100_000), /^there is no listener "x+…"/],
];

const HOSTNAMES: readonly Wrong[] = [
  "",
  ".",
  "a..b",
  "a b",
  "-a.test",
  "a-.test",
  "*.",
  "*.*.test",
  "a.*.test",
  "**",
  "a.test:443",
  "192.0.2.1",
  "[::1]",
  "a\0.test",
  "a.test\n",
  `${"a".repeat(64)}.test`,
  "a.".repeat(126) + "aa",
  "a".repeat(100_000),
].map((name) => [name, /^".*" is no host name pattern; write for example "git\.example\.net", "\*\.example\.net"/s]);

const PATHS: readonly Wrong[] = [
  ["c.pem", /^"c\.pem" is no absolute path$/],
  ["/nowhere/c.pem", /^\/nowhere\/c\.pem: does not exist$/],
  ["/", /^\/: is a folder, not a file$/],
  ["/dev/zero", /^\/dev\/zero: is no regular file$/],
  ["/a\0b", /^"\/a\\u0000b" is no path: it holds a NUL character$/],
  [`/${"x".repeat(300)}`, /x: cannot be used: File name too long$/],
  [`/${"x/".repeat(20_000)}`, /^"\/x.*…" is no path: it is 40001 octets long, and 4095 is the most$/],
];

const POLICY_TYPES: readonly Wrong[] = [0, 99, -1].map((
  type,
) => [type, /^expected "block_user_agent", "require_header" or "block_user_agent_any_case", got "(|99|-1)"$/]);
const POLICY_VALUES: readonly Wrong[] = ["", "ü", "a\nb", "\x7f", "x".repeat(257), "x".repeat(100_000)]
  .map((value) => [value, /^".*" must be 1 to 256 printable ASCII characters$/]);

const PIN = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const PINS = ["x", "sha256/", "a".repeat(42), "a".repeat(45), `sha1/${"a".repeat(43)}`, "a".repeat(100_000)]
  .map((pin): Wrong => [pin, /^".*" is not a pin; write the SHA-256 of the public key, 32 bytes in base64/]);
const TIMEOUTS = [{ seconds: 0n }, { seconds: -1n }, { seconds: 86_401n }, { seconds: 1n, nanos: 1 }, {
  seconds: 2n ** 62n,
}].map((timeout): Wrong => [timeout, /^".*" is no duration from 1 ms to 24 h; write/]);
const CONNECTIONS = [65_536, 4_294_967_295].map((
  n,
): Wrong => [n, /^expected a whole number from 1 to 65535, got \d+$/]);

/** Names of {@linkcode POLICY} are no part of a path. */
const POLICY = { type: L7PolicyType.REQUIRE_HEADER, value: "X-Key" };
const L4 = { hostname: "new.test", backend: "127.0.0.1:1" };

/** All fields; `l7` is a sound route of L7. */
function fieldsOf(l7: Readonly<Record<string, unknown>>, notPem: string): Field[] {
  const { listRoutes, addRoute, removeRoute, listL7Policies, addL7Policy, removeL7Policy } = METHODS;
  const { addFirewallRule, removeFirewallRule, setListenerMaxConnections, finishHandover } = METHODS;
  const on = (rest: object) => (listenerAddr: unknown) => ({ listenerAddr, ...rest });
  const ofL4 = (key: string) => (value: unknown) => ({ listenerAddr: ADDR, route: { ...L4, [key]: value } });
  const ofL7 = (key: string, more = {}) => (value: unknown) => ({
    listenerAddr: ADDR,
    route: { ...l7, ...more, [key]: value },
  });
  const missing: Wrong = ["", /^must name a PEM file where mode is "l7"$/];
  const noEffect = (value: unknown): Wrong => [value, /^has no effect where mode is "l4"$/];
  const pem: Wrong = [notPem, /: is not PEM: it has no "-----BEGIN " line$/];
  const foreign: Wrong = [l7["tlsCert"], /: holds no private key, but a CERTIFICATE$/];
  const route = (path: string, request: Field["request"], wrong: readonly Wrong[]): Field => ({
    method: addRoute,
    path: `route.${path}`,
    request,
    wrong,
  });
  const fields: Field[] = [
    {
      method: finishHandover,
      path: "token",
      request: (token) => ({ token }),
      wrong: [["", /^is missing$/], ...["x", "\0", "x".repeat(100_000)].map((token): Wrong => [token, /^is not that/])],
    },
    {
      method: finishHandover,
      path: "drain_ms",
      request: (drainMs) => ({ token: "x", drainMs }),
      wrong: [86_400_001, 4_294_967_295].map((ms) => [ms, /^expected a whole number from 0 to 86400000, got \d+$/]),
    },
    { method: listRoutes, path: "listener_addr", request: on({}), wrong: LISTENERS },
    { method: addRoute, path: "listener_addr", request: on({ route: L4 }), wrong: LISTENERS },
    route("hostname", ofL4("hostname"), [
      ...HOSTNAMES,
      ["bücher.test", /, an international name in its xn-- form$/],
    ]),
    route(
      "backend",
      ofL4("backend"),
      [
        "",
        "127.0.0.1",
        ":443",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:0443",
        "127.0.0.256:443",
        "::1:443",
        "[::1]",
        "*.test:443",
        "a b:443",
        "a.test:443\0",
        "http://a.test:443",
        `${"a".repeat(64)}.test:443`,
        `${"a".repeat(100_000)}:443`,
      ].map((backend) => [backend, /^".*" is no backend; write host:port or \[v6\]:port with a port from 1 to 65535/]),
    ),
    route("mode", ofL4("mode"), [99, -1].map((mode) => [mode, /^expected "l4" or "l7", got "(99|-1)"$/])),
    route("tls_cert", ofL4("tlsCert"), [noEffect("/c.pem")]),
    route("tls_cert", ofL7("tlsCert"), [missing, pem, ...PATHS]),
    route("tls_key", ofL4("tlsKey"), [noEffect("/c.key")]),
    route("tls_key", ofL7("tlsKey"), [missing, pem, foreign, ...PATHS]),
    route("backend_tls", ofL4("backendTls"), [noEffect(true)]),
    route("backend_protocol", ofL4("backendProtocol"), [
      noEffect(1),
      [99, /^expected "", "h2" or "http1", got "99"$/],
    ]),
    route("backend_ca", ofL4("backendCa"), [noEffect("/ca.pem")]),
    route("backend_ca", ofL7("backendCa"), [["/ca.pem", /^has no effect where backend_tls is false$/]]),
    route("backend_ca", ofL7("backendCa", { backendTls: true }), [
      pem,
      [l7["tlsKey"], /: holds no certificate, but a PRIVATE KEY$/],
      ...PATHS,
    ]),
    route("backend_server_name", ofL4("backendServerName"), [noEffect("b.test")]),
    route("backend_server_name", ofL7("backendServerName"), [["b.test", /^has no effect where backend_tls is false$/]]),
    route(
      "backend_server_name",
      ofL7("backendServerName", { backendTls: true }),
      ["a b", "*.a.test", "a..b", "a".repeat(254)].map((name) => [name, /^".*" is no host name; write for example/]),
    ),
    route(
      "backend_server_name",
      ofL7("backendServerName", { backendTls: true }),
      ["{}", "{Host}", "a.{host}", "{host}.test", "{sni}"].map((
        name,
      ) => [name, /^".*" is not a host name; write "\{host\}"/]),
    ),
    route("backend_pins", ofL4("backendPins"), [noEffect([PIN])]),
    route("backend_pins", ofL7("backendPins"), [[[PIN], /^has no effect where backend_tls is false$/]]),
    route("backend_pins[0]", (pin) => ofL7("backendPins", { backendTls: true })([pin]), PINS),
    route("backend_pins[1]", ofL7("backendPins", { backendTls: true }), [
      [[PIN, PIN.slice(7)], /^route\.backend_pins\[0\] already lists ".*"; remove one$/],
    ]),
    route("backend_timeout", ofL4("backendTimeout"), [noEffect({ seconds: 5n })]),
    route("backend_timeout", ofL7("backendTimeout"), TIMEOUTS),
    route("backend_max_connections", ofL4("backendMaxConnections"), [noEffect(5)]),
    route("backend_max_connections", ofL7("backendMaxConnections"), CONNECTIONS),
    route("allow_trace", ofL4("allowTrace"), [noEffect(true)]),
    route("l7_policies", ofL4("l7Policies"), [noEffect([POLICY])]),
    route("l7_policies[0].type", (type) => ofL7("l7Policies")([{ ...POLICY, type }]), POLICY_TYPES),
    route("l7_policies[1].value", (value) => ofL7("l7Policies")([POLICY, { type: 1, value }]), POLICY_VALUES),
    route("l7_policies[1]", ofL7("l7Policies"), [
      [[POLICY, POLICY], /^route\.l7_policies\[0\] already has the policy "require_header X-Key"; remove one$/],
    ]),
    route("l7_policies[0].value", (value) => ofL7("l7Policies")([{ ...POLICY, value }]), [
      ["a b", /^"a b" is no header name; write for example "X-Api-Key"$/],
    ]),
    {
      method: setListenerMaxConnections,
      path: "listener_addr",
      request: on({ maxConnections: 1 }),
      wrong: LISTENERS,
    },
    {
      method: setListenerMaxConnections,
      path: "max_connections",
      request: (maxConnections) => ({ listenerAddr: ADDR, maxConnections }),
      wrong: [-1, -(2 ** 31)].map((max) => [max, /^expected a whole number from 0 \(no limit\) to 2147483647, got -/]),
    },
  ];
  const ofRoute = [
    { method: removeRoute, rest: {} },
    { method: listL7Policies, rest: {} },
    { method: addL7Policy, rest: { policy: POLICY } },
    { method: removeL7Policy, rest: { policy: POLICY } },
  ];
  for (const { method, rest } of ofRoute) {
    fields.push(
      { method, path: "listener_addr", request: on({ hostname: "l7.test", ...rest }), wrong: LISTENERS },
      {
        method,
        path: "hostname",
        request: (hostname) => ({ listenerAddr: ADDR, hostname, ...rest }),
        wrong: HOSTNAMES,
      },
    );
  }
  for (const method of [addL7Policy, removeL7Policy]) {
    const of = (policy: object) => ({ listenerAddr: ADDR, hostname: "l7.test", policy });
    fields.push(
      { method, path: "policy.type", request: (type) => of({ ...POLICY, type }), wrong: POLICY_TYPES },
      { method, path: "policy.value", request: (value) => of({ type: 1, value }), wrong: POLICY_VALUES },
      {
        method,
        path: "policy.value",
        request: (value) => of({ ...POLICY, value }),
        wrong: [["a b", /^"a b" is no header name/], ["a:", /^"a:" is no header name/]],
      },
    );
  }
  for (const method of [addFirewallRule, removeFirewallRule]) {
    const ofType = (type: FirewallRuleType) => (value: unknown) => ({ rule: { type, value } });
    fields.push(
      {
        method,
        path: "rule.type",
        request: (type) => ({ rule: { type, value: "192.0.2.1" } }),
        wrong: [0, 99, -1].map((type) => [type, /^expected "ip", "cidr" or "country", got "(|99|-1)"$/]),
      },
      {
        method,
        path: "rule.value",
        request: ofType(FirewallRuleType.IP),
        wrong: [
          ...["", "a", "192.0.2", "192.0.2.256", "192.0.2.01", "::g", "fe80::1%eth0", "[::1]", " ::1", "1".repeat(1e5)]
            .map((value): Wrong => [value, /^".*" is no IP address; write for example "192\.0\.2\.1"/]),
          ["10.0.0.0/8", /^"10\.0\.0\.0\/8" is a prefix; give it the type "cidr"$/],
        ],
      },
      {
        method,
        path: "rule.value",
        request: ofType(FirewallRuleType.CIDR),
        wrong: [
          ...["", "10/8", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/", "::/129", "::/-1", "/8", "1".repeat(1e5)]
            .map((value): Wrong => [value, /^".*" is no prefix; write for example "192\.0\.2\.0\/24"/]),
          ["10.0.0.1/8", /^"10\.0\.0\.1\/8" has host bits set; write "10\.0\.0\.0\/8"$/],
          ["2001:DB8::1/32", /^"2001:DB8::1\/32" has host bits set; write "2001:db8::\/32"$/],
          ["10.0.0.1", /^"10\.0\.0\.1" is a single address; give it the type "ip"$/],
        ],
      },
      {
        method,
        path: "rule.value",
        request: ofType(FirewallRuleType.COUNTRY),
        wrong: [
          ...["", "D", "DEU", "QQ", "ß", "D\0", "D".repeat(1e5)]
            .map((value): Wrong => [value, /^".*" is no country; write an ISO 3166-1 alpha-2 code, for example "DE"$/]),
          ["de", /^"de" must be in upper case; write "DE"$/],
        ],
      },
    );
  }
  return [...fields, ...applyFields(l7, notPem)];
}

/** The fields of a whole state, which has one listener with these routes beside it. */
function applyFields(l7: Readonly<Record<string, unknown>>, notPem: string): Field[] {
  const applied = (path: string, request: Field["request"], wrong: readonly Wrong[]): Field => ({
    method: METHODS.apply,
    path,
    request,
    wrong,
  });
  const listener = (more: object) => ({ listeners: [{ addr: ADDR, ...more }] });
  const listenerField = (path: string, key: string, wrong: readonly Wrong[]) =>
    applied(`listeners[0].${path}`, (value) => listener({ [key]: value }), wrong);
  const routeField = (path: string, key: string, route: object, wrong: readonly Wrong[]) =>
    applied(`listeners[0].routes[1].${path}`, (value) => listener({ routes: [l7, { ...route, [key]: value }] }), wrong);
  const other = { ...l7, hostname: "other.test" };
  const tls = { ...other, backendTls: true };
  const l4 = { ...L4, hostname: "l4.test" };
  const firewall = (key: string, wrong: readonly Wrong[]) => {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return applied(`firewall.${name}[0]`, (value) => ({ ...listener({}), firewall: { [key]: [value] } }), wrong);
  };
  return [
    applied("listeners", (listeners) => ({ listeners }), [[[], /^there is none; add at least one$/]]),
    listenerField(
      "addr",
      "addr",
      ["", "127.0.0.1", "x y:1", ":65536", "\0:1"].map((addr) => [
        addr,
        /^".*" is no address to listen on; write :port, host:port or \[v6\]:port, for example ":443"$/,
      ]),
    ),
    listenerField("addr", "addr", [[
      "192.0.2.1:9",
      /^cannot listen on 192\.0\.2\.1:9: this machine has no such address/,
    ]]),
    applied("listeners[1].addr", (addr) => ({ listeners: [{ addr: ADDR }, { addr }] }), [
      [ADDR, /^listeners\[0\]\.addr already listens on "127\.0\.0\.1:0"; remove one$/],
    ]),
    listenerField("max_connections", "maxConnections", [
      [-1, /^expected a whole number from 0 to 2147483647, got -1$/],
    ]),
    routeField("hostname", "hostname", l4, HOSTNAMES),
    routeField("hostname", "hostname", l4, [
      ["new.test", /^listeners\[0\]\.routes\[0\]\.hostname already routes "new\.test"; remove one$/],
    ]),
    routeField(
      "backend",
      "backend",
      l4,
      ["", "127.0.0.1", "127.0.0.1:0"].map((addr) => [addr, /^".*" is no backend; /]),
    ),
    routeField("mode", "mode", l4, [[99, /^expected "l4" or "l7", got "99"$/]]),
    routeField("tls_cert", "tlsCert", other, [["", /^must name a PEM file where mode is "l7"$/], ...PATHS, [
      notPem,
      /: is not PEM: it has no "-----BEGIN " line$/,
    ]]),
    routeField("tls_key", "tlsKey", other, [["", /^must name a PEM file where mode is "l7"$/], ...PATHS]),
    routeField("backend_protocol", "backendProtocol", other, [[99, /^expected "", "h2" or "http1", got "99"$/]]),
    routeField("backend_ca", "backendCa", tls, PATHS),
    routeField("backend_server_name", "backendServerName", tls, [["a b", /^"a b" is no host name; write for example/]]),
    applied(
      "listeners[0].routes[0].backend_pins[0]",
      (pin) => listener({ routes: [{ ...tls, backendPins: [pin] }] }),
      PINS,
    ),
    routeField("backend_timeout", "backendTimeout", other, TIMEOUTS),
    routeField("backend_max_connections", "backendMaxConnections", other, CONNECTIONS),
    routeField("l7_policies[1]", "l7Policies", other, [
      [[POLICY, POLICY], /^listeners\[0\]\.routes\[1\]\.l7_policies\[0\] already has the policy/],
    ]),
    applied(
      "listeners[0].routes[0].l7_policies[0].type",
      (type) => listener({ routes: [{ ...other, l7Policies: [{ ...POLICY, type }] }] }),
      POLICY_TYPES,
    ),
    applied(
      "listeners[0].routes[0].l7_policies[0].value",
      (value) => listener({ routes: [{ ...other, l7Policies: [{ type: 1, value }] }] }),
      POLICY_VALUES,
    ),
    firewall("blockedIps", [["10.0.0.0/8", /is a prefix; put it in firewall\.blocked_cidrs$/], [
      "a",
      /is no IP address/,
    ]]),
    firewall("blockedCidrs", [["10.0.0.1/8", /has host bits set; write "10\.0\.0\.0\/8"$/], ["a", /is no prefix/]]),
    firewall("blockedCountries", [["de", /must be in upper case; write "DE"$/], ["QQ", /is no country/]]),
  ];
}

/** Fields of which every value is right: those that are yes or no, and lists of what may be wrong itself. */
function alwaysSound(desc: DescMessage): string[] {
  const lists = ["listeners[0].routes", "listeners[0].routes[0].l7_policies"];
  return leaves(desc).filter(({ path, isBoolean }) => isBoolean || lists.includes(path)).map(({ path }) => path);
}

/** The fields of a message and of those in it, as violations name them; of a list, those of its first item. */
function leaves(desc: DescMessage, at = ""): { readonly path: string; readonly isBoolean: boolean }[] {
  return desc.fields.flatMap((field) => {
    const path = `${at}${field.name}`;
    if (field.fieldKind === "message" && field.message.typeName === DurationSchema.typeName) {
      return [{ path, isBoolean: false }];
    }
    if (field.fieldKind === "message") return leaves(field.message, `${path}.`);
    if (field.fieldKind === "list" && field.listKind === "message") {
      return [{ path, isBoolean: false }, ...leaves(field.message, `${path}[0].`)];
    }
    if (field.fieldKind === "list") return [{ path: `${path}[0]`, isBoolean: false }];
    return [{ path, isBoolean: field.fieldKind === "scalar" && field.scalar === ScalarType.BOOL }];
  });
}

/** Makes a call that must fail. */
async function refusal(client: Client, method: DescMethodUnary, request: Record<string, unknown>) {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  const message = create(method.input, request as MessageInitShape<DescMessage>);
  const { promise, resolve, reject } = Promise.withResolvers<ServiceError>();
  client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (error) => {
    if (error === null) reject(new Error(`${method.name} took ${JSON.stringify(request).slice(0, 200)}`));
    else resolve(error);
  });
  return await promise;
}

/** All that the database holds. */
function dump(path: string): unknown {
  const db = new DatabaseSync(path);
  try {
    const tables = ["listeners", "routes", "l7_policies", "firewall_rules"];
    return tables.map((table) => db.prepare(`SELECT * FROM ${table}`).all().map((row) => ({ ...row })));
  } finally {
    db.close();
  }
}

Deno.test("a wrong field of a request is told by its name, whichever it is, and nothing is stored", async () => {
  await using test = await L7.start([
    { hostname: "l7.test", backend: "127.0.0.1:1", l7_policies: [{ type: "require_header", value: "X-Key" }] },
    { hostname: "l4.test", backend: "127.0.0.1:1", mode: "l4" },
  ], { firewall: { blocked_ips: ["192.0.2.1"] } });
  const { folder } = test.proxy;
  const { tls_cert: tlsCert, tls_key: tlsKey } = await test.certificate("new.test");
  Deno.writeTextFileSync(`${folder}/text`, "no PEM");
  const fields = fieldsOf({ ...L4, mode: RouteMode.L7, tlsCert, tlsKey }, `${folder}/text`);
  const before = [dump(`${folder}/mc-proxy.db`), await test.admin.getStatus()];

  const client = new Client(`unix:${folder}/admin.sock`, credentials.createInsecure());
  for (const { method, path, request, wrong } of fields) {
    for (const [value, description] of wrong) {
      const error = await refusal(client, method, request(value));
      const what = `${method.name} ${path} = ${Deno.inspect(value).slice(0, 100)}: ${error.message}`;
      const violations = violationsOf(error);
      assert.deepEqual([status[error.code], violations.map(({ field }) => field)], ["INVALID_ARGUMENT", [path]], what);
      assert.match(violations[0]?.description ?? "", description, what);
      assert.equal(error.details, `${path}: ${violations[0]?.description}`);
      assert.match(error.details, /^[ -~…ßü]{1,600}$/, what);
    }
  }
  client.close();
  assert.deepEqual([dump(`${folder}/mc-proxy.db`), await test.admin.getStatus()], before);
  assert.deepEqual(test.proxy.log.seen.filter(({ event }) => event === "change" || event === "internal_error"), []);

  for (const method of UNARY) {
    const tested = fields.filter((field) => field.method === method).map(({ path }) => path.replaceAll("[1]", "[0]"));
    const untested = leaves(method.input).map(({ path }) => path).filter((path) => !tested.includes(path));
    const sound = alwaysSound(method.input).filter((path) => !tested.includes(path));
    assert.deepEqual(untested, sound, `${method.name}: each of its fields is wrong in some request above`);
  }
});

Deno.test("a request that is empty names what is missing", async () => {
  await using test = await L7.start([]);
  const client = new Client(`unix:${test.proxy.folder}/admin.sock`, credentials.createInsecure());
  for (const method of UNARY) {
    const [first] = leaves(method.input);
    if (first === undefined || first.isBoolean) continue; // it asks for nothing
    const error = await refusal(client, method, {});
    assert.deepEqual(
      [status[error.code], violationsOf(error)[0]?.field],
      ["INVALID_ARGUMENT", first.path],
      method.name,
    );
  }
  client.close();
});

Deno.test("a request that is no message, and one that is too large, end only themselves", async () => {
  await using test = await L7.start([]);
  const client = new Client(`unix:${test.proxy.folder}/admin.sock`, credentials.createInsecure());
  const { path, responseDeserialize } = methodDefinition(METHODS.addRoute);
  const send = (bytes: Buffer) =>
    new Promise<string>((resolve) => {
      const done = (error: ServiceError | null) => resolve(error === null ? "OK" : status[error.code] ?? "");
      client.makeUnaryRequest(path, (bytes: Buffer) => bytes, responseDeserialize, bytes, done);
    });
  assert.equal(await send(Buffer.from([0x0a, 0xff])), "INTERNAL");
  assert.equal(await send(Buffer.alloc(33 * 1024 * 1024)), "RESOURCE_EXHAUSTED");
  client.close();
  assert.equal(await test.admin.isServing(), true);
});
