/** A client of TLS goes on from the session that it has, whichever worker it comes to, and over a takeover. */
import assert from "node:assert/strict";
import { HttpBackend, L7 } from "./harness/http.ts";
import { authority } from "./harness/http.ts";
import { isInstalled } from "./harness/tools.ts";
import { Succession } from "./harness/succession.ts";

const WORKERS = 4;
const CONNECTIONS = 40;
const ignore = Deno.build.os !== "linux" || !isInstalled("openssl");
const NOTE = isInstalled("openssl") ? "" : " (needs openssl)";
const VERSIONS = ["-tls1_2", "-tls1_3"] as const;

/** Connects as openssl does, and asks once, so that a ticket of TLS 1.3 has come. @returns Whether a session was resumed. */
async function connect(port: number, version: string, sessions: readonly string[]): Promise<boolean> {
  const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "a.test", version, "-ign_eof", ...sessions];
  const client = new Deno.Command("openssl", { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = client.stdin.getWriter();
  await writer.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n"));
  const { stdout, stderr } = await client.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.match(said, /hello from the backend/, said);
  return /^Reused, /m.test(said);
}

for (const version of VERSIONS) {
  Deno.test({
    name: `${version}: ${CONNECTIONS} of ${CONNECTIONS} resume a session, with ${WORKERS} workers${NOTE}`,
    ignore,
    async fn() {
      const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
      await using backend = await HttpBackend.start(
        "h2c",
        (_, response) => void response.end("hello from the backend"),
      );
      await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
        proxy: { workers: WORKERS, engine: "epoll" },
      });
      const { port } = l7.proxy.address();
      const session = `${folder}/session.pem`;
      assert.equal(await connect(port, version, ["-sess_out", session]), false);
      for (let i = 0; i < CONNECTIONS; i++) {
        assert.equal(await connect(port, version, ["-sess_in", session, "-sess_out", session]), true, `number ${i}`);
      }
      Deno.removeSync(folder, { recursive: true });
    },
  });
}

Deno.test({
  name: `a session goes on over a takeover${NOTE}`,
  ignore,
  async fn() {
    await using backend = await HttpBackend.start("h2c", (_, response) => void response.end("hello from the backend"));
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const { cert, key } = await (await authority()).issue({ hostnames: ["a.test"] });
    Deno.writeTextFileSync(`${folder}/a.pem`, cert);
    Deno.writeTextFileSync(`${folder}/a.key`, key);
    const route = { hostname: "a.test", backend: backend.addr, mode: "l7" };
    await using servers = await Succession.start(
      [{ ...route, tls_cert: `${folder}/a.pem`, tls_key: `${folder}/a.key` }],
      { proxy: { workers: WORKERS, engine: "epoll" } },
      folder,
    );
    const { port } = servers.current.address();
    for (const version of VERSIONS) {
      assert.equal(await connect(port, version, ["-sess_out", `${folder}/${version}`]), false);
    }
    const before = await servers.takeOver();
    await before.exit();
    for (const version of VERSIONS) {
      assert.equal(await connect(port, version, ["-sess_in", `${folder}/${version}`]), true, version);
    }
    const lines = servers.current.log.seen.map((line) => JSON.stringify(line)).join("\n");
    assert.doesNotMatch(lines, /ticket/i, "the keys are in no line of the log");
  },
});
