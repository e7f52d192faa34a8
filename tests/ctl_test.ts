import assert from "node:assert/strict";
import { relative } from "node:path";
import { selfSigned } from "../lib/control/testdata/make_certificate.ts";
import { programCommand } from "../scripts/program.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { Lines } from "./harness/lines.ts";
import { Backend, endSeen, helloFor, readExactly, sayHello } from "./harness/peers.ts";
import { type CommandResult, runProgram } from "./harness/proxy.ts";
import { HAS_TERMINALS, Terminal } from "./harness/terminal.ts";

function done(...lines: string[]): CommandResult {
  return { code: 0, stdout: lines.map((line) => `${line}\n`).join(""), stderr: "" };
}

function failed(...lines: string[]): CommandResult {
  return { code: 1, stdout: "", stderr: lines.map((line) => `mc-proxy: ${line}\n`).join("") };
}

Deno.test("routes are added, replaced, listed and removed, and serve at once", async () => {
  using backend = new Backend();
  await using test = await administered();
  const routes = (...args: string[]) => runProgram(["ctl", "--addr", test.socket, "routes", ...args]);
  assert.deepEqual(await routes("list"), done("no routes"));
  assert.deepEqual(await routes("list", ADDR), done(`no routes on ${ADDR}`));
  assert.deepEqual(await routes("list", "--json"), done("[]"));
  assert.deepEqual(await routes("add", ADDR, "A.test", "127.0.0.1:1"), done(`a.test on ${ADDR}: added`));
  assert.deepEqual(await routes("add", ADDR, "a.test", "127.0.0.1:1"), done(`a.test on ${ADDR}: unchanged`));
  assert.deepEqual(
    await routes("add", ADDR, "a.test", backend.addr),
    done(`a.test on ${ADDR}: replaced (was 127.0.0.1:1)`),
  );
  const hello = helloFor("a.test");
  using _client = await sayHello(test.proxy.address(), "a.test");
  using served = await backend.accept();
  assert.deepEqual(await readExactly(served, hello.length), hello);

  const added = await routes("add", ADDR, "*", "127.0.0.1:2", "--send-proxy-protocol", "--json");
  const route = {
    listener: ADDR,
    hostname: "*",
    backend: "127.0.0.1:2",
    mode: "l4",
    send_proxy_protocol: true,
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
  assert.deepEqual(added, done(JSON.stringify({ result: "added", route, replaced: null, warnings: [] })));
  const backendColumn = backend.addr.padEnd(15);
  assert.deepEqual(
    await routes("list"),
    done(
      `LISTENER     HOST    BACKEND          MODE  SETTINGS`,
      `127.0.0.1:0  a.test  ${backendColumn}  l4`,
      `127.0.0.1:0  *       127.0.0.1:2      l4    send_proxy_protocol`,
    ),
  );
  assert.deepEqual(
    await routes("remove", ADDR, "*"),
    done(`* on ${ADDR}: removed (was 127.0.0.1:2 send_proxy_protocol)`),
  );
  const removed = await routes("remove", ADDR, "A.TEST", "--json");
  const { result, route: was } = JSON.parse(removed.stdout);
  assert.deepEqual([removed.code, result, was.hostname, was.backend], [0, "removed", "a.test", backend.addr]);
  using refused = await sayHello(test.proxy.address(), "a.test");
  await endSeen(refused);
  assert.deepEqual(
    await routes("remove", ADDR, "a.test"),
    failed(
      `there is no route "a.test" on "${ADDR}"; "mc-proxy ctl routes list ${ADDR} --addr ${test.socket}" shows what there is`,
    ),
  );
});

Deno.test("an L7 route is added from files of the working directory, and has policies", async () => {
  await using test = await administered();
  const { folder } = test.proxy;
  const { cert, key } = await selfSigned("ecdsa p-256");
  Deno.writeTextFileSync(`${folder}/www.pem`, cert);
  Deno.writeTextFileSync(`${folder}/www.key`, key);
  const ctl = (...args: string[]) => runProgram(["ctl", "--addr", test.socket, ...args]);
  const files = ["--tls-cert", relative(".", `${folder}/www.pem`), "--tls-key", relative(".", `${folder}/www.key`)];
  const l7 = ["--mode", "l7", ...files, "--backend-protocol", "http1"];
  assert.deepEqual(
    await ctl("routes", "add", ADDR, "a.example", "127.0.0.1:1", ...l7),
    done(`a.example on ${ADDR}: added`),
  );

  const policies = (what: string, ...args: string[]) => ctl("policies", what, ADDR, "A.example", ...args);
  assert.deepEqual(await policies("list"), done(`no policies of a.example on ${ADDR}`));
  const [agent, header] = [["block_user_agent", "Bad Bot"], ["require_header", "X-Api-Key"]] as const;
  assert.deepEqual(await policies("add", ...agent), done(`block_user_agent Bad Bot of a.example on ${ADDR}: added`));
  assert.deepEqual(
    await policies("add", ...agent),
    done(`block_user_agent Bad Bot of a.example on ${ADDR}: unchanged`),
  );
  const policy = { type: "require_header", value: "X-Api-Key" };
  assert.deepEqual(
    await policies("add", ...header, "--json"),
    done(JSON.stringify({ result: "added", listener: ADDR, hostname: "a.example", policy })),
  );
  const [list, json, routes] = await Promise.all([
    policies("list"),
    policies("list", "--json"),
    ctl("routes", "list", ADDR),
  ]);
  assert.deepEqual(list, done("TYPE              VALUE", "block_user_agent  Bad Bot", "require_header    X-Api-Key"));
  assert.deepEqual(json, done(JSON.stringify([{ type: "block_user_agent", value: "Bad Bot" }, policy])));
  assert.deepEqual(
    routes,
    done(
      "LISTENER     HOST       BACKEND      MODE  SETTINGS",
      `127.0.0.1:0  a.example  127.0.0.1:1  l7    tls_cert=${folder}/www.pem tls_key=${folder}/www.key ` +
        'backend_protocol=http1 block_user_agent="Bad Bot" require_header="X-Api-Key"',
    ),
  );
  assert.deepEqual(
    await policies("remove", ...agent),
    done(`block_user_agent Bad Bot of a.example on ${ADDR}: removed`),
  );
  const [gone, unsound] = await Promise.all([
    policies("remove", ...agent),
    policies("add", "require_header", "no header"),
  ]);
  assert.deepEqual(
    gone,
    failed(
      `route "a.example" on "${ADDR}" has no such policy; ` +
        `"mc-proxy ctl policies list ${ADDR} A.example --addr ${test.socket}" shows what there is`,
    ),
  );
  assert.deepEqual(unsound, failed('VALUE: "no header" is no header name; write for example "X-Api-Key"'));
});

Deno.test("what a backend may take is said on the command line, and shown where it differs from the default", async () => {
  await using test = await administered();
  const { folder } = test.proxy;
  const { cert, key } = await selfSigned("ecdsa p-256");
  Deno.writeTextFileSync(`${folder}/www.pem`, cert);
  Deno.writeTextFileSync(`${folder}/www.key`, key);
  const ctl = (...args: string[]) => runProgram(["ctl", "--addr", test.socket, ...args]);
  const files = ["--mode", "l7", "--tls-cert", `${folder}/www.pem`, "--tls-key", `${folder}/www.key`];
  const pins = ["A", "B"].map((letter) => `${letter.repeat(42)}A=`);
  const tls = ["--backend-tls", ...pins.flatMap((pin) => ["--backend-pin", pin])];
  const limits = ["--backend-timeout", "90s", "--backend-max-connections", "7", "--allow-trace"];
  const add = (...args: string[]) => ctl("routes", "add", ADDR, "a.example", "127.0.0.1:1", ...files, ...args);
  assert.deepEqual(await add(...tls, ...limits), done(`a.example on ${ADDR}: added`));
  const { stdout } = await ctl("routes", "list", ADDR);
  const shown = pins.map((pin) => `sha256/${pin}`).join();
  const settings = `backend_pins=${shown} backend_timeout=1m30s backend_max_connections=7 allow_trace`;
  assert.ok(stdout.includes(settings), stdout);
  const [route] = JSON.parse((await ctl("routes", "list", ADDR, "--json")).stdout);
  assert.deepEqual(route.backend_pins, pins.map((pin) => `sha256/${pin}`));
  assert.deepEqual([route.backend_timeout, route.backend_max_connections, route.allow_trace], ["1m30s", 7, true]);
  for (
    const [flag, value, error] of [
      ["--backend-timeout", "0s", "Expected a duration from 1 ms to 24 h"],
      ["--backend-timeout", "soon", "Expected a duration from 1 ms to 24 h"],
      ["--backend-max-connections", "0", "Expected a whole number from 1 to 65535."],
      ["--backend-max-connections", "65536", "Expected a whole number from 1 to 65535."],
      ["--backend-pin", "x", '--backend-pin: "x" is not a pin'],
    ] as const
  ) {
    const { code, stderr } = await add("--backend-tls", flag, value);
    assert.notEqual(code, 0);
    assert.ok(stderr.includes(error) && stderr.includes(flag), stderr);
  }
});

Deno.test("the rules of the firewall are added, listed and removed", async () => {
  await using test = await administered();
  const firewall = (...args: string[]) => runProgram(["ctl", "--addr", test.socket, "firewall", ...args]);
  assert.deepEqual(await firewall("list"), done("no rules"));
  assert.deepEqual(await firewall("add", "ip", "2001:DB8::1"), done("ip 2001:db8::1: added"));
  assert.deepEqual(await firewall("add", "ip", "2001:db8:0::1"), done("ip 2001:db8::1: unchanged"));
  const rule = { type: "cidr", value: "192.0.2.0/24" };
  assert.deepEqual(
    await firewall("add", "cidr", "192.0.2.0/24", "--json"),
    done(JSON.stringify({ result: "added", rule })),
  );
  assert.deepEqual(await firewall("list"), done("TYPE  VALUE", "ip    2001:db8::1", "cidr  192.0.2.0/24"));
  assert.deepEqual(
    await firewall("list", "--json"),
    done(JSON.stringify([{ type: "ip", value: "2001:db8::1" }, rule])),
  );
  assert.deepEqual(await firewall("remove", "cidr", "192.0.2.0/24"), done("cidr 192.0.2.0/24: removed"));
  assert.deepEqual(await firewall("remove", "ip", "2001:DB8::1"), done("ip 2001:db8::1: removed"));
  assert.deepEqual(
    await firewall("remove", "cidr", "192.0.2.0/24"),
    failed(
      'there is no firewall rule cidr "192.0.2.0/24"; ' +
        `"mc-proxy ctl firewall list --addr ${test.socket}" shows what there is`,
    ),
  );
  assert.deepEqual(
    await firewall("add", "cidr", "192.0.2.1/24"),
    failed('VALUE: "192.0.2.1/24" has host bits set; write "192.0.2.0/24"'),
  );
  const country = await firewall("add", "country", "DE");
  assert.match(country.stderr, /^mc-proxy: a country can be blocked only where firewall\.geoip_db names a GeoIP file/);
  assert.equal(country.code, 1);
});

Deno.test("listeners are listed and limited", async () => {
  await using test = await administered([{ hostname: "a.test", backend: "127.0.0.1:1" }]);
  const listeners = (...args: string[]) => runProgram(["ctl", "--addr", test.socket, "listeners", ...args]);
  const { hostname, port } = test.proxy.address();
  const bound = `${hostname}:${port}`;
  assert.deepEqual(
    await listeners("list"),
    done(
      `LISTENER     ${"BOUND TO".padEnd(bound.length)}  PROXY HEADER  ACTIVE  LIMIT  ROUTES`,
      `127.0.0.1:0  ${bound}  no                 0   none       1`,
    ),
  );
  assert.deepEqual(await listeners("set-max-connections", ADDR, "7"), done(`${ADDR}: at most 7 (was no limit)`));
  assert.deepEqual(await listeners("set-max-connections", ADDR, "7"), done(`${ADDR}: at most 7 (unchanged)`));
  assert.deepEqual(
    await listeners("set-max-connections", ADDR, "0", "--json"),
    done(JSON.stringify({ result: "changed", listener: ADDR, max_connections: 0, previous: 7 })),
  );
  const [listed] = JSON.parse((await listeners("list", "--json")).stdout);
  assert.deepEqual(listed, {
    addr: ADDR,
    bound_addr: bound,
    problem: null,
    proxy_protocol: false,
    max_connections: 0,
    active_connections: 0,
    total_connections: 0,
    rejected_connections: {},
    bytes_in: 0,
    bytes_out: 0,
    route_count: 1,
  });
});

Deno.test("status and health tell how the server does", async () => {
  using backend = new Backend();
  await using test = await administered([{ hostname: "a.test", backend: backend.addr }], { proxy: { workers: 1 } });
  using _open = await sayHello(test.proxy.address(), "a.test");
  using served = await backend.accept();
  const { length } = helloFor("a.test");
  await readExactly(served, length);
  using refused = await sayHello(test.proxy.address(), "b.test");
  await endSeen(refused);
  await test.proxy.end(refused);

  const file = `${test.proxy.folder}/mc-proxy.toml`;
  const [status, ofCtl, json, health, healthJson] = await Promise.all([
    runProgram(["status", "-c", file]),
    runProgram(["ctl", "status", "-c", file]),
    runProgram(["status", "--addr", test.socket, "--json"]),
    runProgram(["ctl", "health", "-c", file]),
    runProgram(["ctl", "--json", "health", "-c", file]),
  ]);
  const { version, engine } = await test.admin.getStatus();
  const text = status.stdout.replace(/\d+s, since [\d-]{10} [\d:]{8} UTC/, "SINCE")
    .replace(/^(tls {7})1\.2 or newer by .+, groups .+$/m, "$1LIBRARY");
  assert.equal(
    text,
    [
      `version   ${version}`,
      "uptime    SINCE",
      `engine    ${engine}, 1 worker`,
      "tls       LIBRARY",
      "firewall  0 rules, no rate limit",
      "geoip     none",
      "",
      "LISTENER     ACTIVE  TOTAL  REJECTED     IN  OUT  ROUTES",
      `127.0.0.1:0       1      2         1  ${length} B  0 B       1`,
      "",
      "LISTENER     REJECTED  REASON",
      "127.0.0.1:0         1  no_route",
      "",
    ].join("\n"),
  );
  assert.deepEqual([status.code, status.stderr, ofCtl.code, ofCtl.stderr], [0, "", 0, ""]);
  assert.ok(ofCtl.stdout.startsWith(`version   ${version}\nuptime    `));
  const { listeners: [listener], ...rest } = JSON.parse(json.stdout);
  assert.deepEqual([rest.version, rest.workers, rest.geoip], [version, 1, null]);
  assert.deepEqual([listener.active_connections, listener.rejected_connections], [1, { no_route: 1 }]);
  assert.deepEqual(health, done("SERVING"));
  assert.deepEqual(healthJson, done('{"status":"SERVING","problems":[]}'));

  test.proxy.signal("SIGTERM"); // the open connection keeps it for a while
  await test.proxy.event("draining");
  assert.deepEqual(await runProgram(["ctl", "health", "-c", file]), {
    code: 1,
    stdout: "NOT_SERVING\n",
    stderr: "shutting down\n",
  });
  assert.deepEqual(
    await runProgram(["ctl", "firewall", "add", "ip", "192.0.2.1", "-c", file]),
    failed("the server is shutting down"),
  );
});

Deno.test("what the server refuses is told in the words of the command line", async () => {
  await using test = await administered([{ hostname: "a.test", backend: "127.0.0.1:1" }]);
  const ctl = (...args: string[]) => runProgram(["ctl", "--addr", test.socket, ...args]);
  const [listener, fields, l4, l7, policies, warned] = await Promise.all([
    ctl("routes", "list", ":444"),
    ctl("routes", "add", ADDR, "a b", "x"),
    ctl("routes", "add", ADDR, "a.test", "127.0.0.1:1", "--tls-cert", "x", "--backend-protocol", "h2", "--backend-tls"),
    ctl("routes", "add", ADDR, "a.test", "127.0.0.1:1", "--mode", "l7"),
    ctl("policies", "list", ADDR, "a.test"),
    ctl("routes", "add", ADDR, "b.test", "nowhere.invalid:1"),
  ]);
  assert.deepEqual(listener, failed(`LISTENER: there is no listener ":444"; known: "${ADDR}"`));
  assert.deepEqual(
    fields,
    failed(
      'HOST: "a b" is no host name pattern; write for example "git.example.net", "*.example.net" or "*"',
      'BACKEND: "x" is no backend; write host:port or [v6]:port with a port from 1 to 65535, ' +
        'for example "127.0.0.1:8443"',
    ),
  );
  assert.deepEqual(
    l4,
    failed(
      ...["--tls-cert", "--backend-tls", "--backend-protocol"].map((o) => `${o}: has no effect where mode is "l4"`),
    ),
  );
  assert.deepEqual(
    l7,
    failed(...["--tls-cert", "--tls-key"].map((option) => `${option}: must name a PEM file where mode is "l7"`)),
  );
  assert.deepEqual(policies, failed(`route "a.test" on "${ADDR}" is one of L4, which has no policies`));
  assert.deepEqual(warned, {
    code: 0,
    stdout: `b.test on ${ADDR}: added\n`,
    stderr: 'warning: "nowhere.invalid:1" has no address at this moment; the route works once its name resolves\n',
  });
});

Deno.test("the server is found by -c or --addr, before the subcommand or behind", async () => {
  await using test = await administered();
  const file = `${test.proxy.folder}/mc-proxy.toml`;
  const unsound = `${test.proxy.folder}/unsound.toml`;
  Deno.writeTextFileSync(unsound, `listeners = 7\ngrpc.addr = "${test.socket}"\n`);
  const without = `${test.proxy.folder}/without.toml`;
  Deno.writeTextFileSync(without, 'database.path = "x.db"\n');
  const lists: readonly (readonly string[])[] = [
    ["ctl", "-c", file, "firewall", "list"],
    ["ctl", "firewall", "-c", file, "list"],
    ["ctl", "firewall", "list", "-c", file],
    ["ctl", "firewall", "list", `--addr=${test.socket}`],
    ["mcproxyctl", "firewall", "list", "--config", file],
    ["ctl", "firewall", "list", "-c", unsound],
  ];
  for (const result of await Promise.all(lists.map((args) => runProgram(args)))) {
    assert.deepEqual(result, done("no rules"));
  }
  const none = `${test.proxy.folder}/none.sock`;
  const [nobody, noGrpc, noFile, noPath, both] = await Promise.all([
    runProgram(["status", "--addr", none]),
    runProgram(["ctl", "health", "-c", without]),
    runProgram(["ctl", "health", "-c", none]),
    runProgram(["ctl", "health", "--addr", ""]),
    runProgram(["ctl", "health", "--addr", none, "-c", file]),
  ]);
  assert.deepEqual(nobody, failed(`no admin API at ${none} (is the server running?)`));
  assert.deepEqual([noGrpc.code, noGrpc.stdout], [1, ""]);
  assert.match(noGrpc.stderr, /^\S+\/without\.toml: grpc: is missing: the server has no admin API; add it .*\n$/);
  assert.deepEqual(noFile, { code: 1, stdout: "", stderr: `${none}: does not exist\n` });
  assert.match(noPath.stderr, /^mc-proxy: --addr: "" is no path of a Unix socket; .*\n$/);
  assert.deepEqual([noPath.code, both.code], [1, 2]);
  assert.match(both.stderr, /^mc-proxy: option '--addr <socket>' cannot be used with option '-c, --config <file>'\n/);
});

Deno.test("a link named mcproxyctl is ctl", async () => {
  await using test = await administered();
  const { executable, args } = programCommand();
  const link = `${test.proxy.folder}/mcproxyctl`;
  Deno.symlinkSync(executable, link);
  const run = async (...more: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(link, { args: [...args, ...more] }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  };
  assert.deepEqual(await run("firewall", "list", "--addr", test.socket), done("no rules"));
  const { stdout } = await run("routes", "add", "--help");
  assert.ok(stdout.startsWith("Usage: mcproxyctl routes add [options] <LISTENER> <HOST> <BACKEND>\n"), stdout);
  assert.ok(stdout.includes("\n  mcproxyctl routes add :443 git.example.net 127.0.0.1:18443\n"), stdout);
  assert.deepEqual(await run("server"), {
    code: 2,
    stdout: "",
    stderr: `mcproxyctl: unknown command 'server'\nTry "mcproxyctl --help".\n`,
  });
  const removed = await run("routes", "remove", ADDR, "a.test", "--addr", test.socket);
  assert.match(
    removed.stderr,
    /^mcproxyctl: there is no route .*; "mcproxyctl routes list 127\.0\.0\.1:0 --addr \S+" shows/,
  );
});

Deno.test("a wrong command line exits with 2 and says where the help is", async () => {
  const wrong: readonly (readonly [args: readonly string[], message: string, help: string])[] = [
    [["ctl", "rotes"], "unknown command 'rotes' (Did you mean routes?)", "mc-proxy ctl"],
    [["ctl", "routes", "add", ":443"], "missing required argument 'HOST'", "mc-proxy ctl routes add"],
    [
      ["ctl", "firewall", "add", "name", "x"],
      "TYPE: 'name' is wrong. Allowed choices are ip, cidr, country.",
      "mc-proxy ctl firewall add",
    ],
    ...["-1", "1.5", "2147483648", "many", ""].map((n) =>
      [
        ["ctl", "listeners", "set-max-connections", ":443", n],
        `N: '${n}' is wrong. Expected a whole number from 0 (no limit) to 2147483647.`,
        "mc-proxy ctl listeners set-max-connections",
      ] as const
    ),
    [["status", "x"], "too many arguments for 'status'. Expected 0 arguments but got 1: x.", "mc-proxy status"],
    [
      ["completions", "tcsh"],
      "SHELL: 'tcsh' is wrong. Allowed choices are bash, zsh, fish.",
      "mc-proxy completions",
    ],
  ];
  const results = await Promise.all(wrong.map(([args]) => runProgram(args)));
  wrong.forEach(([args, message, help], i) => {
    const stderr = `mc-proxy: ${message}\nTry "${help} --help".\n`;
    assert.deepEqual(results[i], { code: 2, stdout: "", stderr }, args.join(" "));
  });
});

/** The program as a process that goes on, its output piped. */
function watching(...args: string[]) {
  const { executable, args: first } = programCommand();
  return new Deno.Command(executable, {
    args: [...first, "status", "--watch", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("status --watch prints one state below the other where there is no terminal, until it is interrupted", async () => {
  await using test = await administered();
  const [plain, json] = [watching("--addr", test.socket), watching("--addr", test.socket, "--json")];
  const errors = [plain, json].map((child) => new Response(child.stderr).text());
  const [lines, documents] = [
    new Lines(plain.stdout, (line) => line),
    new Lines(json.stdout, (line) => JSON.parse(line)),
  ];
  await lines.findAll(2, (line) => line.startsWith("LISTENER"));
  for (const state of await documents.findAll(2, () => true)) assert.equal(state.listeners[0].addr, ADDR);
  plain.kill("SIGINT");
  json.kill("SIGTERM");
  assert.deepEqual((await Promise.all([plain.status, json.status])).map(({ code }) => code), [0, 0]);
  assert.deepEqual(await Promise.all(errors), ["", ""]);
  await Promise.all([lines.ended, documents.ended]);
  assert.ok(lines.seen.every((line) => !line.includes("\x1b")));
});

Deno.test("status --watch ends where nobody reads it, and fails where the server is gone", async () => {
  await using test = await administered();
  const unread = watching("--addr", test.socket);
  await unread.stdout.cancel();
  assert.equal(await new Response(unread.stderr).text(), "");
  assert.equal((await unread.status).code, 0);

  const left = [watching("--addr", test.socket), watching("--addr", test.socket, "--json")];
  const errors = left.map(({ stderr }) => new Response(stderr).text());
  const lines = left.map(({ stdout }) => new Lines(stdout, (line) => line));
  await Promise.all(lines.map((each) => each.findAll(2, (line) => /^LISTENER|^\{/.test(line))));
  test.proxy.signal("SIGTERM");
  for (const [i, child] of left.entries()) {
    assert.match(
      await errors[i] ?? "",
      /^mc-proxy: (no admin API at \S+ \(is the server running\?\)|the server at \S+ broke off before it answered .*)\n$/,
    );
    assert.equal((await child.status).code, 1);
    await lines[i]?.ended;
  }
});

const ignore = !HAS_TERMINALS;

Deno.test({
  name: `on a terminal, tables fit it and their headers are bold, not so with NO_COLOR${ignore ? " (no script)" : ""}`,
  ignore,
  fn: async () => {
    const hostname = `${"a".repeat(30)}.test`;
    await using test = await administered([{ hostname, backend: "127.0.0.1:1", send_proxy_protocol: true }]);
    const args = ["ctl", "--addr", test.socket, "routes", "list"];
    const shown = async (environment: Record<string, string> = {}) => {
      await using terminal = new Terminal(args, 80, environment);
      assert.equal(await terminal.exit(), 0);
      return terminal.text;
    };
    const [coloured, plain, dumb] = await Promise.all([shown(), shown({ NO_COLOR: "1" }), shown({ TERM: "dumb" })]);
    const [header = "", ...rows] = [
      `LISTENER     HOST${" ".repeat(33)}BACKEND      MODE  SETTINGS`,
      `127.0.0.1:0  ${hostname}  127.0.0.1:1  l4`,
      "    send_proxy_protocol",
    ];
    assert.deepEqual(plain.split("\r\n"), [header, ...rows, ""]);
    assert.deepEqual(coloured.split("\r\n"), [`\x1b[1m${header}\x1b[22m`, ...rows, ""]);
    assert.equal(dumb.split("\r\n").length, 3, "a terminal that is not known is given no layout");
    assert.ok(!dumb.includes("\x1b"));
  },
});

Deno.test({
  name: `on a terminal, status --watch draws over itself and leaves nothing behind${ignore ? " (no script)" : ""}`,
  ignore,
  fn: async () => {
    await using test = await administered();
    await using terminal = new Terminal(["status", "--watch", "--addr", test.socket], 80);
    await terminal.shows("Ctrl-C ends", 2);
    await terminal.press("\x03");
    assert.equal(await terminal.exit(), 0);
    assert.ok(terminal.text.startsWith("\x1b[?1049h\x1b[?25l\x1b[H"), "the alternate screen, without a cursor");
    assert.ok(terminal.text.endsWith("\x1b[?25h\x1b[?1049l"), "as it was before");
    const frames = terminal.text.split("\x1b[H").slice(1);
    assert.ok(frames.every((frame) => frame.startsWith("version ")));

    await using left = new Terminal(["status", "--watch", "--addr", test.socket], 80);
    await left.shows("Ctrl-C ends");
    await test.proxy.kill();
    assert.equal(await left.exit(), 1);
    const end = `\x1b[?25h\x1b[?1049lmc-proxy: no admin API at ${test.socket} (is the server running?)\r\n`;
    assert.ok(left.text.endsWith(end), left.text);
  },
});
