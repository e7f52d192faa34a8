import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { ROOT } from "../program.ts";

const task: { tasks: { dev: { command: string } } } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));

/** Starts what `deno task dev` starts. Its standard output ends when none of the processes below it is left. */
function start(...args: string[]): Deno.ChildProcess {
  const words = task.tasks.dev.command.split(" ");
  assert.equal(words[0], "deno");
  return new Deno.Command(Deno.execPath(), {
    env: { npm_command: "" }, // as started by deno, though the tests may be by npx
    args: [...words.slice(1), ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** A start of it that has printed the lines to paste. */
class Started implements AsyncDisposable {
  /** Resolves once none of its processes is left. */
  readonly ended: Promise<{ readonly code: number; readonly stderr: string }>;

  private constructor(
    readonly process: Deno.ChildProcess,
    readonly printed: string,
    rest: ReadableStreamDefaultReader<string>,
    stderr: Promise<string>,
  ) {
    const ended = async () => {
      while (!(await rest.read()).done);
      return { code: (await process.status).code, stderr: await stderr };
    };
    this.ended = ended();
  }

  static async in(folder: string): Promise<Started> {
    const process = start("--folder", folder, "--port", "0");
    const stderr = new Response(process.stderr).text();
    const stdout = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    while (!printed.includes("Ctrl-C")) {
      const { value } = await stdout.read();
      if (value === undefined) assert.fail(`it ended: ${printed}${await stderr}`);
      printed += value;
    }
    return new Started(process, printed, stdout, stderr);
  }

  get port(): number {
    return Number(/-connect 127\.0\.0\.1:(\d+)/.exec(this.printed)?.[1]);
  }

  stop(signal: Deno.Signal): Promise<{ readonly code: number; readonly stderr: string }> {
    this.process.kill(signal);
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
    await this.ended;
  }
}

/** Within the ignored folder. */
async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  await Deno.mkdir(join(ROOT, ".dev"), { recursive: true });
  const folder = await Deno.makeTempDir({ dir: join(ROOT, ".dev"), prefix: "test-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function connect(dev: Started, hostname: string, folder: string): Promise<Deno.TlsConn> {
  const caCerts = [await Deno.readTextFile(join(folder, "ca.pem"))];
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port: dev.port });
  return Deno.startTls(tcp, { hostname, caCerts });
}

async function exchange(conn: Deno.TlsConn, sent: string | Uint8Array, until: string): Promise<string> {
  await conn.write(typeof sent === "string" ? new TextEncoder().encode(sent) : sent);
  const buffer = new Uint8Array(16384);
  let received = "";
  while (!received.includes(until)) {
    const count = await conn.read(buffer);
    assert.ok(count !== null, `it ended after ${received}`);
    received += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return received;
}

Deno.test("dev serves its backends through the proxy, keeps its authority, and stops at SIGTERM and SIGINT", () =>
  withFolder(async (folder) => {
    const authorities = new Set<string>();
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      await using dev = await Started.in(folder);
      authorities.add(await Deno.readTextFile(join(folder, "ca.pem")));
      assert.match(dev.printed, new RegExp(`curl --cacert \\S+/ca\\.pem https://pass\\.localhost:${dev.port}/\n`));
      {
        using page = await connect(dev, "pass.localhost", folder);
        const answer = await exchange(page, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n0\r\n\r\n");
        assert.match(answer, /^SNI: +pass\.localhost$/m);
        const [client, peer] = [/^Client: +(\S+)$/m.exec(answer)?.[1], /^Reached through: +(\S+)$/m.exec(answer)?.[1]];
        assert.ok(client !== undefined && peer !== undefined && client !== peer, answer);
        using echo = await connect(dev, "echo.localhost", folder);
        assert.equal(await exchange(echo, "there and back\n", "\n"), "there and back\n");
        using app = await connect(dev, "app.localhost", folder);
        const json = await exchange(app, "GET /api/request HTTP/1.1\r\nHost: app.localhost\r\n\r\n", "\r\n0\r\n\r\n");
        assert.match(json, /"client": "127\.0\.0\.1"/);
        assert.match(json, /"host": "app\.localhost"/);
        const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
        const upgrade = `Host: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}`;
        const opened = await exchange(app, `GET /echo HTTP/1.1\r\n${upgrade}\r\n`, "\r\n\r\n");
        assert.match(opened, /^HTTP\/1\.1 101 /);
        const masked = Uint8Array.of(0x01, 0x82, 0, 0, 0, 0, 0x68, 0x69); // a part of a text
        assert.equal(await exchange(app, masked, "hi"), "\x01\x02hi");
      }
      const { code, stderr } = await dev.stop(signal);
      assert.equal(code, 0, stderr);
      // The log of the proxy, and no warning from anyone, but of what the library of this machine lacks.
      assert.match(stderr, /^(?:\d{4}-\S+Z (?:info|warn tls_not_post_quantum) .*\n)+$/);
    }
    assert.equal(authorities.size, 1);
  }));

/** Pastes a line, types another behind it, and reads until the output matches; s_client would go on. */
async function paste(line: string, expected: RegExp, typed = ""): Promise<void> {
  const [program = "", ...args] = line.split(" ").map((word) => word.replace(/^'(.*)'$/, "$1"));
  const command = new Deno.Command(program, { args, cwd: ROOT, stdin: "piped", stdout: "piped", stderr: "null" });
  try {
    await using child = command.spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(typed)).catch(() => {}); // not every one waits for it
    let output = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text;
      if (expected.test(output)) break;
    }
    assert.match(output, expected);
    await writer.close().catch(() => {}); // curl does not wait for it
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // its program is not installed
  }
}

/** What the lines of the README answer, by how they begin. */
const ANSWERS: readonly (readonly [line: RegExp, answer: RegExp])[] = [
  [/^curl .*\/api\/request$/, /"client": "127\.0\.0\.1"/],
  [/^curl .*\/events$/, /^data: \{"count":1,/m],
  [/^curl /, /^Client: +127\.0\.0\.1/m],
  [/^openssl /, /^to and fro$/m],
  [/^grpcurl /, /"text": "hello"/],
  [/dev:say/, /^\{"text":"hello","client":"127\.0\.0\.1","count":1\}$/m],
  [/ctl .* status$/, /^engine +(?:epoll|portable), /m],
  [/ctl .* routes list$/, /app\.localhost .* l7 /],
];

Deno.test("the README's lines do what they say, as far as curl, openssl and grpcurl are installed", () =>
  withFolder(async (folder) => {
    await using dev = await Started.in(folder);
    const readme = await Deno.readTextFile(`${ROOT}README.md`);
    const lines = readme.match(/^(?:(?:curl|openssl|grpcurl) .*:8443.*|.* (?:dev:say|-c \.dev\/dev\.toml) .*)$/gm) ??
      [];
    assert.equal(lines.length, 10);
    const shown = relative(ROOT, folder);
    for (const line of lines) {
      const here = line.replace("npx -y deno@2.9.6 task", "deno task").replaceAll(".dev/", `${shown}/`)
        .replace("8443", String(dev.port)).replace("dev:say", `dev:say --folder ${shown} --port ${dev.port}`);
      assert.ok(dev.printed.includes(`  ${here}\n`), `${here}\nis not in\n${dev.printed}`);
      const answer = ANSWERS.find(([pattern]) => pattern.test(line))?.[1];
      assert.ok(answer !== undefined, line);
      await paste(here, answer, "to and fro\n");
    }
  }));

Deno.test("gRPC messages in turn are answered in turn, wherever the folder is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using dev = await Started.in(folder);
    const answers = ["a", "b", "c"].map((text, i) => JSON.stringify({ text, client: "127.0.0.1", count: i + 1 }));
    const line = `deno task -q dev:say --folder ${folder} --port ${dev.port} a b c`;
    await paste(line, new RegExp(`^${answers.map((answer) => `${answer}\n`).join("")}$`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a folder whose path is too long for a socket has no admin API, and all else works", () =>
  withFolder(async (parent) => {
    const folder = join(parent, "long".repeat(25));
    await using dev = await Started.in(folder);
    assert.match(dev.printed, /^There is no admin API: the path of \S+ is too long for a Unix socket in it\.$/m);
    using echo = await connect(dev, "echo.localhost", folder);
    assert.equal(await exchange(echo, "still here\n", "\n"), "still here\n");
    assert.equal((await dev.stop("SIGTERM")).code, 0);
  }));

Deno.test("dev that is killed without warning leaves no proxy behind, and the next start works", () =>
  withFolder(async (folder) => {
    await using first = await Started.in(folder);
    await first.stop("SIGKILL");
    await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: first.port }), Deno.errors.ConnectionRefused);
    await using second = await Started.in(folder);
    assert.equal((await second.stop("SIGTERM")).code, 0);
  }));

Deno.test("dev prints the proxy's one line and nothing else where the port is taken", () =>
  withFolder(async (folder) => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const output = await start("--folder", folder, "--port", String(taken.addr.port)).output();
    assert.equal(output.code, 1);
    assert.equal(new TextDecoder().decode(output.stdout), "");
    assert.match(new TextDecoder().decode(output.stderr), new RegExp(`^.*127.0.0.1:${taken.addr.port}.*\n$`));
  }));

Deno.test("a second dev in the same folder leaves the first one alone", () =>
  withFolder(async (folder) => {
    await using first = await Started.in(folder);
    const second = await start("--folder", folder, "--port", "0").output();
    assert.equal(second.code, 1);
    assert.match(new TextDecoder().decode(second.stderr), /^dev: it runs already in .*\n$/);
    using echo = await connect(first, "echo.localhost", folder);
    assert.equal(await exchange(echo, "still here\n", "\n"), "still here\n");
  }));

Deno.test({
  name: "dev ends with one line where the proxy dies by itself (Linux: it is found in /proc)",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder(async (folder) => {
      await using dev = await Started.in(folder);
      Deno.kill(await findProxy(join(folder, "dev.toml")), "SIGKILL");
      const { code, stderr } = await dev.ended;
      assert.equal(code, 1);
      assert.match(stderr, /\ndev: the proxy ended with exit code 137\n$/);
    }),
});

/** The process id of the proxy itself, not of the guard, whose command line holds all of the proxy's. */
async function findProxy(configFile: string): Promise<number> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const words = (await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "")).split("\0"); // it may end meanwhile
    if (words.includes(configFile) && !words.some((word) => word.endsWith("guard.ts"))) return Number(name);
  }
  throw new Error(`no process was started with ${configFile}`);
}

Deno.test("a command line that is wrong gets one line and exit code 2", async () => {
  for (const args of [["--port", "65536"], ["--port", "http"], ["--nonsense"], ["more"]]) {
    const { code, stdout, stderr } = await start(...args).output();
    assert.equal(code, 2);
    assert.equal(new TextDecoder().decode(stdout), "");
    assert.match(new TextDecoder().decode(stderr), /^dev: [^\n]+; see deno task dev --help\n$/);
  }
});
