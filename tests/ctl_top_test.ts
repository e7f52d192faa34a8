import assert from "node:assert/strict";
import { administered } from "./harness/admin.ts";
import { Backend, readExactly, sayHello } from "./harness/peers.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";
import { HAS_TERMINALS, Terminal } from "./harness/terminal.ts";

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/** `ctl top` where no terminal is: its output is a pipe. */
async function startTop(socket: string, ...options: string[]): Promise<Proxy> {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  return Proxy.run(["ctl", "top", "--addr", socket, "--interval", "100ms", ...options], { folder });
}

Deno.test("into a pipe top prints a line an interval, and ends with a signal", async () => {
  using backend = new Backend();
  await using test = await administered([{ hostname: "a.test", backend: backend.addr }]);
  using _client = await sayHello(test.proxy.address(), "a.test");
  using served = await backend.accept();
  await readExactly(served, 1);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await using top = await startTop(test.socket);
    const [line = ""] = await top.stdout.findAll(2, () => true);
    assert.match(line, /^20\S+Z {2}active 1 {2}conn\/s 0 {2}rejected\/s 0 {2}in\/s 0 B {2}out\/s 0 B {2}dial p50 - /);
    top.signal(signal);
    assert.equal((await top.exit()).code, 0);
  }
});

Deno.test("with --json top prints a document an interval, and says when the server shuts down", async () => {
  await using test = await administered([{ hostname: "a.test", backend: "127.0.0.1:1" }]);
  await using top = await startTop(test.socket, "--json");
  const documents = (await top.stdout.findAll(3, () => true)).map((line) => JSON.parse(line));
  assert.ok(documents.every(({ listeners }) => listeners[0].addr === test.addr));
  assert.ok(documents[1].uptime_seconds > documents[0].uptime_seconds);
  test.proxy.signal("SIGTERM");
  assert.equal((await top.exit()).code, 1);
  assert.deepEqual(top.log.seen.map(({ line }) => line), [
    `mc-proxy: the server at ${test.socket} is shutting down`,
  ]);
  assert.equal((await test.proxy.exit()).code, 0);
});

Deno.test("an interval that top cannot have is told as it was typed", async () => {
  await using test = await administered();
  const wrong = async (interval: string) => {
    const { code, stderr } = await runProgram(["ctl", "top", "--addr", test.socket, "--interval", interval]);
    return [code, stderr.split("\n")[0]];
  };
  const refused = "mc-proxy: --interval: expected 100 ms to 60 s, got";
  assert.deepEqual(await wrong("50ms"), [1, `${refused} 50 ms`]);
  assert.deepEqual(await wrong("2m"), [1, `${refused} 120000 ms`]);
  const [code, line = ""] = await wrong("fast");
  assert.equal(code, 2);
  assert.match(
    String(line),
    /'--interval <duration>' argument 'fast' is invalid\. Write for example "500ms" or "5s"\./,
  );
});

const ignore = !HAS_TERMINALS;

/** A test that needs a terminal. */
function testOnTerminal(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${name}${ignore ? " (no script)" : ""}`, ignore, fn });
}

/** The settings of the terminal, behind the end of the view: as a shell finds them. */
const SETTINGS = "echo code $?; stty -a";

function assertRestored({ text }: Terminal, code: number): void {
  assert.ok(text.startsWith(ENTER), text.slice(0, 100));
  const [, after = "", ...more] = text.split(LEAVE);
  assert.equal(more.length, 0);
  assert.match(after, new RegExp(`^(mc-proxy: [^\n]+\n)?code ${code}\r\n`));
  for (const setting of ["icanon", "echo", "isig", "icrnl", "opost"]) {
    assert.match(after, new RegExp(`[\\s;]${setting}\\s`));
  }
}

testOnTerminal("on a terminal, keys sort and filter top, and q leaves the terminal as it was", async () => {
  await using test = await administered([{ hostname: "a.test", backend: "127.0.0.1:1" }]);
  await using terminal = new Terminal(["ctl", "top", "--addr", test.socket], 80, { NO_COLOR: "1" }, SETTINGS);
  await terminal.shows(test.addr);
  await terminal.press("n");
  await terminal.shows("[n name]");
  await terminal.press("/Qu");
  await terminal.shows("/qu_");
  await terminal.shows('nothing has "qu" in its name');
  await terminal.press("\r");
  await terminal.shows('/ "qu"');
  await terminal.press("\x1b");
  await terminal.shows("/ filter");
  await terminal.press("q");
  await terminal.exit();
  assertRestored(terminal, 0);
  // deno-lint-ignore no-control-regex -- what begins a colour
  assert.ok(!/\x1b\[\d*m/.test(terminal.text), "no colours with NO_COLOR");
});

testOnTerminal("on a terminal, Ctrl-C and signals end top, and leave the terminal as it was", async () => {
  await using test = await administered();
  const ends: readonly ((terminal: Terminal) => unknown)[] = [
    (terminal) => terminal.press("\x03"),
    (terminal) => terminal.signal("SIGTERM"),
    (terminal) => terminal.signal("SIGINT"),
    (terminal) => terminal.signal("SIGHUP"),
  ];
  for (const end of ends) {
    await using terminal = new Terminal(["ctl", "top", "--addr", test.socket], 80, {}, SETTINGS);
    await terminal.shows("q quit");
    await end(terminal);
    await terminal.exit();
    assertRestored(terminal, 0);
  }
});

testOnTerminal("on a terminal, top follows its size", async () => {
  await using test = await administered();
  await using terminal = new Terminal(["ctl", "top", "--interval", "60s", "--addr", test.socket], 80);
  await terminal.shows("l latency n name");
  await terminal.resize(40, 10);
  await terminal.shows("…");
  await terminal.press("q");
  assert.equal(await terminal.exit(), 0);
});

testOnTerminal("on a terminal, top ends with the server, and says so where the shell is again", async () => {
  await using test = await administered();
  await using stopped = new Terminal(["ctl", "top", "--addr", test.socket], 80, {}, SETTINGS);
  await using other = await administered();
  await using left = new Terminal(["ctl", "top", "--addr", other.socket], 80, {}, SETTINGS);
  await Promise.all([stopped.shows("q quit"), left.shows("q quit")]);
  test.proxy.signal("SIGTERM");
  await stopped.exit();
  assertRestored(stopped, 1);
  assert.ok(stopped.text.includes(`${LEAVE}mc-proxy: the server at ${test.socket} is shutting down\r\n`));
  await other.proxy.kill();
  await left.exit();
  assertRestored(left, 1);
  assert.match(left.text, /mc-proxy: (the server at \S+ broke off before it answered|no admin API at) /);
});

testOnTerminal("where no server is, top says so, and the terminal is as it was", async () => {
  await using terminal = new Terminal(["ctl", "top", "--addr", "/nonexistent/admin.sock"], 80, {}, SETTINGS);
  await terminal.exit();
  assertRestored(terminal, 1);
  assert.ok(terminal.text.includes("mc-proxy: no admin API at /nonexistent/admin.sock (is the server running?)"));
});
