/** Lines of the log that nobody takes: the metric counts each. */
import assert from "node:assert/strict";
import { stringify } from "smol-toml";
import { programCommand } from "../scripts/program.ts";
import { Disk, mayMount } from "./harness/disk.ts";
import { Lines } from "./harness/lines.ts";
import { METRICS, Scrape } from "./harness/metrics.ts";

const LOST = 3;

interface Line {
  readonly event: string;
  readonly addr?: string;
  readonly lines?: number;
}

/** Writes the configuration of a server, and gives how it is started: by a shell, behind a redirection. */
function command(folder: string, redirection: string): Deno.Command {
  const file = `${folder}/mc-proxy.toml`;
  const config = {
    database: { path: "mc-proxy.db" },
    log: { format: "json" },
    listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "a.test", backend: "127.0.0.1:1" }] }],
    metrics: METRICS,
  };
  Deno.writeTextFileSync(file, stringify(config));
  const { executable, args } = programCommand();
  return new Deno.Command("sh", {
    args: ["-c", `exec "$@" ${redirection}`, "sh", executable, ...args, "server", "-c", file],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
}

function addrOf(lines: readonly Line[], event: string): string {
  return String(lines.find((line) => line.event === event)?.addr);
}

/** Has a client come and go, which is a line. */
async function visit(lines: readonly Line[]): Promise<void> {
  const [hostname = "", port] = addrOf(lines, "listening").split(":");
  const conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  await conn.read(new Uint8Array(1)).catch(() => {}); // its end, or a reset
  conn.close();
}

/** Takes what room is left in the last page of a file on a full disk. */
function fillUp(path: string): void {
  using file = Deno.openSync(path, { append: true });
  try {
    for (;;) file.writeSync(new TextEncoder().encode("\n"));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}

/** Scrapes until so many lines were lost; workers hand them over a little later. */
async function countedLoss(lines: readonly Line[]): Promise<number> {
  for (;;) {
    const text = await (await fetch(`http://${addrOf(lines, "metrics_listening")}/metrics`)).text();
    const lost = new Scrape(text).value("mcproxy_log_lines_dropped_total") ?? 0;
    if (lost >= LOST) return lost;
  }
}

Deno.test({
  name: "lines that nobody reads any more (EPIPE) are counted one by one",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const process = command(folder, "").spawn();
    try {
      const cut = new AbortController();
      const through = new TransformStream<Uint8Array, Uint8Array>();
      const piped = process.stderr.pipeTo(through.writable, { signal: cut.signal }).catch(() => {});
      const log = new Lines<Line>(through.readable, (line) => JSON.parse(line));
      log.ended.catch(() => {}); // it is cut
      await log.find(({ event }) => event === "ready");
      cut.abort();
      await piped;
      for (let i = 0; i < LOST; i++) await visit(log.seen);
      assert.equal(await countedLoss(log.seen), LOST);
    } finally {
      process.kill("SIGKILL");
      await process.status;
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: `lines that a full disk does not take (ENOSPC) are counted, and told of once there is room${
    mayMount() ? "" : " (needs to mount)"
  }`,
  ignore: Deno.build.os !== "linux" || !mayMount(),
  async fn() {
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    using disk = Disk.mount();
    const file = `${disk.path}/log`;
    const changes = Deno.watchFs(disk.path);
    const process = command(folder, `2>>${file}`).spawn();
    const lines = (): Line[] => {
      const text = Deno.readTextFileSync(file);
      return text.slice(0, text.lastIndexOf("\n") + 1).trimEnd().split("\n").filter((line) => line !== "")
        .flatMap((line) => line.endsWith("}") ? [JSON.parse(line)] : []); // what is left of a line that was cut is none
    };
    const find = async (wanted: string): Promise<Line> => {
      for await (const _ of changes) {
        const line = lines().find(({ event }) => event === wanted);
        if (line !== undefined) return line;
      }
      throw new Error(`no line ${wanted}`);
    };
    try {
      await find("ready");
      const seen = lines();
      disk.fill();
      fillUp(file);
      for (let i = 0; i < LOST; i++) await visit(seen);
      assert.equal(await countedLoss(seen), LOST);
      disk.free();
      await visit(seen); // the line behind which it is told
      const told = Deno.watchFs(disk.path);
      await visit(seen);
      for await (const _ of told) if (lines().some(({ event }) => event === "log_lines_dropped")) break;
      assert.equal(lines().find(({ event }) => event === "log_lines_dropped")?.lines, LOST);
    } finally {
      process.kill("SIGKILL");
      await process.stderr.cancel();
      await process.status;
      Deno.removeSync(folder, { recursive: true });
    }
  },
});
