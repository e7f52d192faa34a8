/** `ctl export`: the file with which another server is what this one is. */
import assert from "node:assert/strict";
import { buildMmdb } from "../lib/rules/testdata/build_mmdb.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { HttpBackend, L7, reflect } from "./harness/http.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";

Deno.test("a server on a new database that is started with the file of another is what that one was", async () => {
  await using origin = await HttpBackend.start("h2c", reflect);
  const geoip = await Deno.makeTempFile({ suffix: ".mmdb" });
  const record = { country: { iso_code: "NL" } };
  await Deno.writeFile(geoip, buildMmdb([{ cidr: "192.0.2.0/24", record }]));
  await using test = await L7.start(
    [{
      hostname: "www.test",
      backend: origin.addr,
      l7_policies: [{ type: "require_header", value: "X-Key" }, { type: "block_user_agent", value: 'a "b" \\c' }],
    }],
    {
      listeners: [{ addr: "localhost:0", proxy_protocol: true, routes: [{ hostname: "*", backend: "127.0.0.1:1" }] }],
      firewall: { geoip_db: geoip, blocked_countries: ["NL"], rate_limit: 100, rate_window: "90s" },
      metrics: { addr: "127.0.0.1:0", dashboard: true },
      proxy: { workers: 1, idle_timeout: "5m", hello_timeout: "1500ms" },
    },
    { max_connections: 50 },
  );
  const { proxy, admin } = test;
  // What was changed since the start is in the file, in an order of its own.
  for (const hostname of ["b.test", "a.test"]) await admin.addRoute(ADDR, { hostname, backend: "127.0.0.1:2" });
  for (const value of ["192.0.2.9", "192.0.2.1"]) await admin.addFirewallRule({ type: "ip", value });
  await admin.setListenerMaxConnections("localhost:0", 7);
  const file = `${proxy.folder}/exported.toml`;
  const socket = `${proxy.folder}/admin.sock`;
  const exported = await runProgram(["ctl", "export", "--addr", socket]);
  assert.deepEqual([exported.code, exported.stderr], [0, ""]);
  Deno.writeTextFileSync(file, exported.stdout);
  assert.deepEqual(await runProgram(["ctl", "diff", file]), { code: 0, stdout: "no differences\n", stderr: "" });
  const { stdout } = await runProgram(["check", "-c", file]);
  assert.equal(stdout.split("\n").at(-2), `${file}: OK (2 listeners, 4 routes)`);

  proxy.signal("SIGTERM");
  await proxy.exit();
  for (const suffix of ["", "-wal", "-shm"]) {
    await Deno.remove(`${proxy.folder}/mc-proxy.db${suffix}`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  const other = Proxy.run(["server", "-c", file], { folder: proxy.folder });
  try {
    await other.event("ready");
    assert.ok(other.log.seen.some(({ event }) => event === "database_seeded"));
    const again = await runProgram(["ctl", "export", "--addr", socket]);
    assert.equal(again.stdout, exported.stdout);
  } finally {
    await other.kill();
    await Deno.remove(geoip);
  }
});

Deno.test("export writes a file that is not there yet, or replaces it with --force, and never half of one", async () => {
  await using test = await administered([{ hostname: "a.test", backend: "127.0.0.1:1" }]);
  const { folder } = test.proxy;
  const out = `${folder}/out.toml`;
  const run = (...args: string[]) => runProgram(["ctl", "export", "--addr", test.socket, ...args]);
  const { stdout: toml } = await run();
  const size = new TextEncoder().encode(toml).length;
  assert.deepEqual(await run("-o", out), { code: 0, stdout: `${out} (${size} bytes)\n`, stderr: "" });
  assert.equal(Deno.readTextFileSync(out), toml);
  assert.deepEqual(await run("-o", out), {
    code: 1,
    stdout: "",
    stderr: `mc-proxy: ${out}: exists already; name a new file, or add --force\n`,
  });
  await test.admin.addRoute(ADDR, { hostname: "b.test", backend: "127.0.0.1:1" });
  Deno.chmodSync(out, 0o640);
  Deno.symlinkSync(out, `${folder}/link.toml`);
  const replaced = await run("-o", `${folder}/link.toml`, "--force", "--json");
  const { file, size: sizeNow } = JSON.parse(replaced.stdout);
  const { stdout: now } = await run();
  assert.deepEqual([file, sizeNow], [`${folder}/link.toml`, new TextEncoder().encode(now).length]);
  assert.notEqual(now, toml);
  assert.equal(Deno.readTextFileSync(out), now);
  assert.equal((Deno.statSync(out).mode ?? 0) & 0o777, 0o640);
  assert.ok(Deno.lstatSync(`${folder}/link.toml`).isSymlink);
  assert.equal(JSON.parse((await run("--json")).stdout).toml, now);

  const nowhere = await run("-o", `${folder}/none/out.toml`);
  assert.equal(
    nowhere.stderr,
    `mc-proxy: ${folder}/none/out.toml: its folder ${folder}/none does not exist\n`,
  );
  const isFolder = await run("-o", folder, "--force");
  assert.equal(isFolder.stderr, `mc-proxy: ${folder}: is a folder, not a file\n`);
  assert.deepEqual(
    Array.from(Deno.readDirSync(folder), ({ name }) => name).filter((name) => /^\..*toml/.test(name)),
    [],
  );
});
