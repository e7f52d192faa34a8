/** The units of config/systemd: sound, as closed as they say, and not more closed than the program bears. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { administered } from "./harness/admin.ts";
import { authority, HttpBackend, reflect } from "./harness/http.ts";
import { metricsUrl } from "./harness/metrics.ts";
import { Backend, connectTls, sayHello, writeAll } from "./harness/peers.ts";
import { isInstalled, runTool } from "./harness/tools.ts";

const UNITS = fileURLToPath(new URL("../config/systemd", import.meta.url));
const PROGRAM = "/usr/local/bin/mc-proxy";
/** systemd's own scale: below 2 is its "OK", above 9 "UNSAFE". */
const MAX_EXPOSURE = 2;

const hasSystemd = isInstalled("systemd-analyze");

function unitNames(ending = ""): string[] {
  return Array.from(Deno.readDirSync(UNITS), ({ name }) => name).filter((name) => name.endsWith(ending)).sort();
}

Deno.test({
  name: "systemd finds nothing wrong with the units (needs systemd)",
  ignore: !hasSystemd,
  async fn() {
    const folder = await Deno.makeTempDir();
    const names = unitNames();
    assert.deepEqual(names, ["mc-proxy-backup.service", "mc-proxy-backup.timer", "mc-proxy.service"]);
    for (const name of names) {
      // Only that the program is not installed here is other than on a host.
      const text = Deno.readTextFileSync(`${UNITS}/${name}`).replaceAll(PROGRAM, "/bin/true");
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    }
    const files = names.map((name) => `${folder}/${name}`);
    const { code, stdout, stderr } = await runTool("systemd-analyze", ["verify", "--man=no", ...files]);
    const ours = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("mc-proxy"));
    assert.deepEqual([code, ours], [0, []]);
    Deno.removeSync(folder, { recursive: true });
  },
});

for (const name of unitNames(".service")) {
  Deno.test({
    name: `the exposure of ${name} is at most ${MAX_EXPOSURE} (needs systemd)`,
    ignore: !hasSystemd,
    async fn() {
      const args = ["security", "--offline=true", "--no-pager", `${UNITS}/${name}`];
      const { stdout } = await runTool("systemd-analyze", args);
      const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
      assert.ok(exposure <= MAX_EXPOSURE, stdout);
    },
  });
}

/** The system calls of a set such as `@system-service`, sets within it included. */
function callsOf(set: string, sets: ReadonlyMap<string, readonly string[]>): string[] {
  return (sets.get(set) ?? []).flatMap((name) => name.startsWith("@") ? callsOf(name, sets) : [name]);
}

/** What `systemd-analyze syscall-filter` knows: a set's name on a line, and what is in it indented below. */
function parseSets(text: string): Map<string, readonly string[]> {
  const sets = new Map<string, string[]>();
  let calls: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("@")) sets.set(line.trim(), calls = []);
    else if (/^ +[^ #]/.test(line)) calls.push(line.trim());
  }
  return sets;
}

/** The system calls that a unit allows. */
async function allowedCalls(unit: string): Promise<ReadonlySet<string>> {
  const sets = parseSets((await runTool("systemd-analyze", ["--no-pager", "syscall-filter"])).stdout);
  const allowed = new Set(callsOf("@default", sets)); // these always, systemd.exec(5)
  for (const [, filter = ""] of Deno.readTextFileSync(`${UNITS}/${unit}`).matchAll(/^SystemCallFilter=(.*)$/gm)) {
    const denies = filter.startsWith("~");
    for (const call of filter.replace("~", "").split(" ").flatMap((set) => callsOf(set, sets))) {
      if (denies) allowed.delete(call);
      else allowed.add(call);
    }
  }
  return allowed;
}

Deno.test({
  name: "the server makes no system call that its unit refuses (needs systemd and strace)",
  ignore: !hasSystemd || !isInstalled("strace"),
  async fn() {
    const allowed = await allowedCalls("mc-proxy.service");
    assert.ok(allowed.has("epoll_wait") && !allowed.has("mount") && !allowed.has("setpriority"));
    const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
    const ca = await authority();
    const pair = await ca.issue({ hostnames: ["www.test"] });
    Deno.writeTextFileSync(`${folder}/www.pem`, pair.cert);
    Deno.writeTextFileSync(`${folder}/www.key`, pair.key);
    using backend = new Backend();
    await using origin = await HttpBackend.start("h2c", reflect);
    const l7 = { hostname: "www.test", backend: origin.addr, mode: "l7", tls_cert: "www.pem", tls_key: "www.key" };
    const config = { metrics: { addr: "127.0.0.1:0" }, firewall: { rate_limit: 1000 } };
    // -D: the tracer is a grandchild, so that signals reach the server.
    const wrapper = ["strace", "-D", "-f", "-qq", "-e", "signal=none", "-o", "/dev/stdout"] as const;
    await using test = await administered([l7], config, { folder, wrapper });
    const { proxy, admin } = test;
    await admin.addRoute(test.addr, { hostname: "*", backend: `localhost:${backend.addr.split(":")[1]}` });

    const client = await sayHello(proxy.address(), "a.test");
    const served = await backend.accept();
    client.close();
    served.close();
    await proxy.end(client);
    using page = await connectTls(proxy.address(), "www.test", ca.cert, ["http/1.1"]);
    await writeAll(page, new TextEncoder().encode("GET / HTTP/1.1\r\nhost: www.test\r\nconnection: close\r\n\r\n"));
    assert.match(await new Response(page.readable).text(), /^HTTP\/1\.1 200 /);
    assert.equal((await fetch(await metricsUrl(proxy))).status, 200);
    proxy.signal("SIGTERM");
    assert.equal((await proxy.exit()).code, 0);

    const calls = new Set(proxy.stdout.seen.map((line) => /^\d+ +(\w+)\(/.exec(line)?.[1]));
    calls.delete(undefined);
    if (Deno.uid() === 0) calls.delete("fchown"); // SQLite gives its files the owner of the database, where it is root
    assert.ok(calls.size > 40, "what is traced is the server");
    assert.deepEqual([...calls.values()].filter((call = "") => !allowed.has(call)).sort(), []);
  },
});
