import assert from "node:assert/strict";
import { programCommand } from "../scripts/program.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { METRICS, metricsUrl } from "./harness/metrics.ts";
import { REFUSING } from "./harness/peers.ts";
import { type CommandResult, runProgram } from "./harness/proxy.ts";

const ROUTES = [{ hostname: "a.test", backend: REFUSING }];

/** Runs the program behind a redirection of the shell. */
async function runInto(redirection: string, ...args: string[]): Promise<CommandResult> {
  const { executable, args: own } = programCommand();
  const command = new Deno.Command("sh", {
    args: ["-c", `exec "$@" ${redirection}`, "sh", executable, ...own, ...args],
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The files in a folder, without those that SQLite makes while a database is open. */
function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => !/-(?:wal|shm)$/.test(name)).sort();
}

/** There are these devices on Linux. */
const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "an output that cannot be written is a failure in one line, of whichever command",
  ignore,
  fn: async () => {
    await using test = await administered(ROUTES);
    const file = `${test.proxy.folder}/mc-proxy.toml`;
    const socket = ["--addr", test.socket];
    const full = { stdout: "", stderr: "mc-proxy: standard output: no space is left on the device\n" };
    const commands: readonly (readonly [code: number, ...args: string[]])[] = [
      [1, "ctl", ...socket, "routes", "list"],
      [1, "ctl", ...socket, "status", "--json"],
      [1, "ctl", ...socket, "export"],
      [2, "ctl", ...socket, "diff", file],
      [1, "check", "-c", file],
      [1, "completions", "bash"],
      [1, "version"],
      [1, "--help"],
      [1, "ctl", "routes", "--help"],
    ];
    for (const [code, ...args] of commands) {
      assert.deepEqual(await runInto(">/dev/full", ...args), { code, ...full }, args.join(" "));
    }
  },
});

Deno.test({
  name: "an error output that cannot be written changes no exit code",
  ignore,
  fn: async () => {
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    using _end = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
    const file = `${folder}/c.toml`;
    const listener = `[[listeners]]\naddr = "${ADDR}"\n`;
    Deno.writeTextFileSync(file, `database.path = "x.db"\n[proxy]\nengine = "portable"\nworkers = 2\n${listener}`);
    const warned = await runInto("2>/dev/full", "check", "-c", file);
    assert.deepEqual(warned, { code: 0, stdout: `${file}: OK (1 listener, 0 routes)\n`, stderr: "" });
    assert.equal((await runInto("2>/dev/full", "check", "-c", `${folder}/none.toml`)).code, 1);
    assert.equal((await runInto("2>/dev/full", "nonsense")).code, 2);
  },
});

Deno.test("export -o writes regular files, and says of anything else how to have it there", async () => {
  await using test = await administered(ROUTES);
  const { folder } = test.proxy;
  const names = () => namesIn(folder);
  const before = names();
  const run = (...args: string[]) => runProgram(["ctl", "--addr", test.socket, "export", ...args]);
  const special = "is no regular file; leave out -o, and redirect the output there";
  const cases: readonly (readonly [out: string, reason: string])[] = [
    [`${folder}/none/`, "is the name of a folder; name a file"],
    [`${folder}/none/x.toml`, `its folder ${folder}/none does not exist`],
    [test.socket, special],
    ...ignore ? [] : ["/dev/full", "/dev/null", "/dev/stdout"].map((out) => [out, special] as const),
  ];
  for (const [out, reason] of cases) {
    for (const options of [[], ["--force"]]) {
      const { code, stdout, stderr } = await run("-o", out, ...options);
      assert.deepEqual([code, stdout, stderr], [1, "", `mc-proxy: ${out}: ${reason}\n`]);
    }
  }
  assert.deepEqual(names(), before);
  const { code } = await run("-o", `${folder}/x.toml`);
  assert.equal(code, 0);
});

Deno.test("snapshot makes no file where a folder is meant that is not there", async () => {
  await using test = await administered(ROUTES);
  const { folder } = test.proxy;
  const names = () => namesIn(folder);
  const before = names();
  const run = (...args: string[]) => runProgram(["snapshot", "-c", `${folder}/mc-proxy.toml`, ...args]);
  for (
    const args of [["-o", `${folder}/new/`], ["-o", `${folder}/new/`, "--keep-days", "3"], [
      "-o",
      `${folder}/new`,
      "--keep-days",
      "3",
    ]]
  ) {
    const { code, stdout, stderr } = await run(...args);
    assert.deepEqual([code, stdout], [1, ""], args.join(" "));
    assert.match(
      stderr.replaceAll(folder, "DIR"),
      /^mc-proxy: DIR\/new\/?: is no folder; make it first, or name a file such as DIR\/mc-proxy-\d{8}T\d{6}Z\.db\n$/,
    );
    assert.deepEqual(names(), before);
  }
  Deno.mkdirSync(`${folder}/new`);
  for (
    const args of [["-o", `${folder}/new/`, "--keep-days", "3"], ["-o", `${folder}/one`], [
      "-o",
      `${folder}/two.db`,
      "--keep-days",
      "3",
    ]]
  ) {
    assert.equal((await run(...args)).code, 0, args.join(" "));
  }
  assert.equal([...Deno.readDirSync(`${folder}/new`)].length, 1);
  assert.ok(["one", "two.db"].every((name) => Deno.statSync(`${folder}/${name}`).isFile));
});

Deno.test("a database that was removed while the server runs is told as such, by whatever asks for it", async () => {
  await using test = await administered(ROUTES, { metrics: METRICS });
  const database = `${test.proxy.folder}/mc-proxy.db`;
  Deno.removeSync(database);
  const removed =
    `${database}: was removed while the server runs; put it back, or restart the server, which makes a new ` +
    "one from the file";
  const commands = [
    ["routes", "add", ADDR, "b.test", REFUSING],
    ["routes", "remove", ADDR, "a.test"],
    ["firewall", "add", "ip", "192.0.2.1"],
    ["listeners", "set-max-connections", ADDR, "5"],
  ];
  for (const args of commands) {
    const { code, stdout, stderr } = await runProgram(["ctl", "--addr", test.socket, ...args]);
    assert.deepEqual([code, stdout, stderr], [1, "", `mc-proxy: ${removed}\n`], args.join(" "));
  }
  // Reading may go on, of a file that is still open; where it does not, the reason is the same.
  for (const args of [["routes", "list"], ["firewall", "list"], ["export"]]) {
    const { code, stderr } = await runProgram(["ctl", "--addr", test.socket, ...args]);
    assert.deepEqual([code, stderr], code === 0 ? [0, ""] : [1, `mc-proxy: ${removed}\n`], args.join(" "));
  }
  const response = await fetch(await metricsUrl(test.proxy, "/readyz"));
  assert.deepEqual([response.status, await response.text()], [
    503,
    `database: degraded, changes are refused: ${removed}\n`,
  ]);
});

Deno.test("a route that leads to its own listener is refused, wherever it is asked for", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  using _end = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const addr = `127.0.0.1:${free.addr.port}`;
  free.close();
  await using test = await administered([], { listeners: [{ addr, routes: ROUTES }] });
  const reason =
    `"${addr}" is this server's own listener "${addr}", which sends it there again: a connection would go ` +
    "round for ever; write the address of the service itself";
  const added = await runProgram(["ctl", "--addr", test.socket, "routes", "add", addr, "loop.test", addr]);
  assert.deepEqual([added.code, added.stderr], [1, `mc-proxy: BACKEND: ${reason}\n`]);
  const named = await runProgram([
    ...["ctl", "--addr", test.socket, "routes", "add", addr, "*.test"],
    `localhost:${free.addr.port}`,
  ]);
  assert.match(named.stderr, /^mc-proxy: BACKEND: "localhost:\d+" is this server's own listener /);
  const file = `${folder}/loop.toml`;
  const route = `[[listeners.routes]]\nhostname = "loop.test"\nbackend = "${addr}"\n`;
  Deno.writeTextFileSync(file, `database.path = "x.db"\n[[listeners]]\naddr = "${addr}"\n${route}`);
  const line = `${file}: line 6: listeners[0].routes[0].backend (loop.test): ${reason}\n`;
  for (const args of [["check", "-c", file], ["ctl", "--addr", test.socket, "apply", file]]) {
    assert.deepEqual(await runProgram(args), { code: 1, stdout: "", stderr: line }, args.join(" "));
  }
  assert.deepEqual((await test.admin.getStatus()).listeners[0]?.routes.map(({ hostname }) => hostname), ["a.test"]);
});
