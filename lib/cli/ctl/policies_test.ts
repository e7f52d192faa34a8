import assert from "node:assert/strict";
import { AdminServer } from "../../admin/server.ts";
import { Administration, type Served } from "../../control/administration.ts";
import { parseConfig } from "../../control/config.ts";
import { Log } from "../../control/log.ts";
import { Store } from "../../control/store/store.ts";
import { main } from "../main.ts";

const FOLDER = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
addEventListener("unload", () => Deno.removeSync(FOLDER, { recursive: true }));

/** A data plane that serves nothing, and takes every change. */
const SERVED: Served = {
  status: { engine: "portable", workers: 1, workerFailures: 0, listeners: [] },
  listenerIndex: () => 0,
  apply: () => Promise.resolve(),
  useBackend: () => Promise.resolve([]),
  releaseBackend: () => Promise.resolve(),
};

/** An admin API over a database with one L7 route. */
async function open(socket: string): Promise<AsyncDisposable> {
  const { config } = parseConfig(
    `database.path = "x.db"
    [[listeners]]
    addr = ":443"
    [[listeners.routes]]
    hostname = "www.example.net"
    backend = "127.0.0.1:8080"
    mode = "l7"
    tls_cert = "www.pem"
    tls_key = "www.key"`,
    { file: `${FOLDER}/config.toml` },
  );
  const store = Store.open(`${socket}.db`);
  const { state } = store.prepare(config);
  store.commit();
  const log = new Log("error", "text");
  const administration = new Administration({ config, state, store, served: SERVED, geoip: undefined, log });
  const server = await AdminServer.open(socket, administration, "0.0.0", {
    internalError: (stack) => assert.fail(stack),
  });
  server.start();
  return {
    async [Symbol.asyncDispose]() {
      await server.close();
      store.close();
    },
  };
}

Deno.test("the policies of a route are added, listed and removed", async () => {
  const socket = `${FOLDER}/admin.sock`;
  await using _server = await open(socket);
  const run = async (...args: string[]) => {
    const printed = { out: "", err: "" };
    const output = { out: (text: string) => printed.out += text, err: (text: string) => printed.err += text };
    return { code: await main(["ctl", "--addr", socket, ...args], { output }), ...printed };
  };
  const policies = (what: string, ...args: string[]) => run("policies", what, ":443", "www.example.net", ...args);
  const done = (out: string) => ({ code: 0, out, err: "" });

  assert.deepEqual(await policies("list"), done("no policies of www.example.net on :443\n"));
  assert.deepEqual(
    await policies("add", "block_user_agent", "Bad Bot"),
    done("block_user_agent Bad Bot of www.example.net on :443: added\n"),
  );
  assert.deepEqual(
    await policies("add", "block_user_agent", "Bad Bot"),
    done("block_user_agent Bad Bot of www.example.net on :443: unchanged\n"),
  );
  const policy = { type: "require_header", value: "X-Api-Key" };
  assert.deepEqual(
    await policies("add", "require_header", "X-Api-Key", "--json"),
    done(JSON.stringify({ result: "added", listener: ":443", hostname: "www.example.net", policy }) + "\n"),
  );
  assert.deepEqual(
    await policies("list"),
    done("TYPE              VALUE\nblock_user_agent  Bad Bot\nrequire_header    X-Api-Key\n"),
  );
  assert.deepEqual(
    await policies("list", "--json"),
    done('[{"type":"block_user_agent","value":"Bad Bot"},{"type":"require_header","value":"X-Api-Key"}]\n'),
  );
  assert.deepEqual(
    await run("routes", "list", ":443"),
    done(
      "LISTENER  HOST             BACKEND         MODE  SETTINGS\n" +
        `:443      www.example.net  127.0.0.1:8080  l7    tls_cert=${FOLDER}/www.pem tls_key=${FOLDER}/www.key ` +
        'block_user_agent="Bad Bot" require_header="X-Api-Key"\n',
    ),
  );
  assert.deepEqual(
    await run("policies", "remove", ":443", "WWW.Example.net", "block_user_agent", "Bad Bot"),
    done("block_user_agent Bad Bot of www.example.net on :443: removed\n"),
  );
  assert.deepEqual(await policies("remove", "block_user_agent", "Bad Bot"), {
    code: 1,
    out: "",
    err: 'mc-proxy: route "www.example.net" on ":443" has no such policy; ' +
      '"mc-proxy ctl policies list :443 www.example.net" shows what there is\n',
  });
  assert.deepEqual(await policies("add", "require_header", "no header"), {
    code: 1,
    out: "",
    err: 'mc-proxy: VALUE: "no header" is no header name; write for example "X-Api-Key"\n',
  });
});
