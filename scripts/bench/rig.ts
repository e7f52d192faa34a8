// Variants by turns: rig.ts ROWS ROUNDS MS name=dir[,flags][;ENV=V] ... ; names haproxy, nginx for peers. PERF=name writes perf-ROW-name.data
import config from "../../deno.json" with { type: "json" };
import { writeMcProxyHttp } from "./http_proxies.ts";
import { Stand } from "./stand.ts";
import { findHaproxy, findNginx, type Proxy } from "./proxies.ts";

const [rows = "h1", rounds = "3", ms = "2000", ...names] = Deno.args;
const SHAPES: Record<string, { behaviour: "small" | "grpc" | "body"; connections: number; streams?: number }> = {
  h2: { behaviour: "small", connections: 8, streams: 16 },
  h1: { behaviour: "small", connections: 64 },
  grpc: { behaviour: "grpc", connections: 8, streams: 16 },
  tls: { behaviour: "small", connections: 32 },
  body: { behaviour: "body", connections: 4 },
};
const base = config.tasks["mc-proxy"].command.split(" ").slice(1, -1).filter((a) => !a.startsWith("--v8-flags"));
async function proxyOf(spec: string): Promise<Proxy> {
  if (spec === "haproxy") return await findHaproxy() as Proxy;
  if (spec === "nginx") return await findNginx() as Proxy;
  const [main = "", ...envs] = spec.split(";");
  const [name = "", rest = ""] = main.split("=", 2).length === 2
    ? [main.slice(0, main.indexOf("=")), main.slice(main.indexOf("=") + 1)]
    : [main, main];
  const [dir = "", ...flags] = rest.split(",");
  const v8 = flags.length > 0 ? flags : ["--max-semi-space-size=1"];
  const perf = Deno.env.get("PERF") === name ? ["--perf-basic-prof", "--interpreted-frames-native-stack"] : [];
  const environment = Object.fromEntries(
    envs.map((e) => [e.slice(0, e.indexOf("=")), e.slice(e.indexOf("=") + 1)]),
  ) as Record<string, string>;
  const args = [...base, `--v8-flags=${[...v8, ...perf].join(",")}`, `${dir}/main.ts`];
  return {
    name,
    version: "",
    prepare: () => {
      throw new Error();
    },
    prepareHttp: async (setup) => ({
      executable: Deno.env.get("DENO") ?? Deno.execPath(),
      args: [...args, "server", "-c", await writeMcProxyHttp(setup)],
      environment,
    }),
  };
}
await using stand = new Stand();
for (const row of rows.split(",")) {
  const shape = SHAPES[row]!;
  const { behaviour, ...load } = shape;
  const all = [];
  for (const n of names) {
    const proxy = await proxyOf(n);
    const running = await stand.startProxy(proxy, { hosts: 3, prefixes: 0, http: { behaviour } });
    all.push({
      name: proxy.name,
      running,
      cpu: [] as number[],
      rate: [] as number[],
      busy: [] as number[],
      others: [] as number[],
      p50: [] as number[],
      p99: [] as number[],
    });
  }
  for (let r = 0; r <= Number(rounds); r++) {
    for (const a of r % 2 === 0 ? all : all.toReversed()) {
      const isPerf = Deno.env.get("PERF") === a.name && r === Number(rounds);
      let perf: Deno.ChildProcess | undefined;
      if (isPerf) {
        perf = new Deno.Command("perf", {
          args: [
            "record",
            "-q",
            "-F",
            "2999",
            "-g",
            "-o",
            `perf-${row}-${a.name}.data`,
            "-p",
            a.running.child.pids.join(","),
            "--",
            "sleep",
            String(Number(ms) / 1000),
          ],
          stdout: "null",
          stderr: "null",
        }).spawn();
      }
      let strace: Deno.ChildProcess | undefined;
      if (Deno.env.get("STRACE") === a.name && r === Number(rounds)) {
        strace = new Deno.Command("timeout", {
          args: [
            "-s",
            "INT",
            String(Number(ms) / 1000),
            "strace",
            "-c",
            "-f",
            "-S",
            "calls",
            "-o",
            `strace-${row}-${a.name}.txt`,
            ...a.running.child.pids.flatMap((p) => ["-p", String(p)]),
          ],
          stdout: "null",
          stderr: "null",
        }).spawn();
      }
      const m = await stand.measure(a.running, { kind: row as never, ...load, warmUpMs: 300, measureMs: Number(ms) });
      if (perf) await perf.status;
      if (strace) {
        await strace.status;
        console.log(
          row,
          a.name,
          "requests/s under strace",
          m.count / m.seconds,
          (await Deno.readTextFile(`strace-${row}-${a.name}.txt`)).split("\n").slice(0, 14).join("\n"),
        );
      }
      if (r === 0) continue;
      const unit = row === "body" ? 1e9 : 1;
      a.cpu.push(m.cpuSeconds / m.count * (row === "body" ? 1e9 : 1e6));
      a.rate.push(m.count / m.seconds / unit);
      a.busy.push(100 * m.cpuSeconds / m.seconds);
      a.others.push(100 * m.others);
      a.p50.push(m.latency?.p50 ?? 0);
      a.p99.push(m.latency?.p99 ?? 0);
    }
  }
  const med = (v: number[]) => v.toSorted((x, y) => x - y)[Math.floor(v.length / 2)] ?? NaN;
  for (const a of all) {
    const rss = a.running.child.pids.reduce(
      (s, p) => s + Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${p}/status`))?.[1] ?? 0),
      0,
    );
    console.log(
      `${row.padEnd(5)} ${a.name.padEnd(12)} cpu ${med(a.cpu).toPrecision(4).padStart(6)} min ${
        Math.min(...a.cpu).toPrecision(4).padStart(6)
      } rate ${med(a.rate).toPrecision(5)} busy ${med(a.busy).toFixed(0)}% others ${med(a.others).toFixed(0)}% p50 ${
        med(a.p50).toFixed(0)
      } p99 ${med(a.p99).toFixed(0)} rss ${(rss / 1024).toFixed(0)}M`,
    );
  }
  if (Deno.env.get("ALL")) {
    for (const a of all) {
      console.log(
        "   ",
        a.name,
        a.cpu.map((v) => v.toPrecision(4)).join(" "),
      );
    }
  }
  for (const a of all) await a.running[Symbol.asyncDispose]();
}
