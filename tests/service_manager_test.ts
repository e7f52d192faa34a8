/** What the program tells systemd, with a socket of the test's in systemd's place. */
import assert from "node:assert/strict";
import { Backend, sayHello } from "./harness/peers.ts";
import { NotifySocket } from "./harness/notify_socket.ts";
import { Proxy } from "./harness/proxy.ts";
import { Succession } from "./harness/succession.ts";

const onLinux = Deno.build.os === "linux";
const HOURS_USEC = String(24 * 3600 * 1e6);

async function withManager(
  test: (folder: string, socket: NotifySocket) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  await using socket = await NotifySocket.listen(`${folder}/notify`);
  await test(folder, socket);
}

Deno.test({
  name: "systemd hears when the server serves, reloads and stops, and that it is alive (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withManager(async (folder, socket) => {
      using backend = new Backend();
      const routes = [{ hostname: "*", backend: backend.addr }];
      const config = { listeners: [{ addr: "127.0.0.1:0", routes }], proxy: { shutdown_timeout: "20s" } };
      const environment = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "400000" };
      await using proxy = await Proxy.start(config, { folder, environment });
      assert.deepEqual(await socket.find("READY"), {
        READY: "1",
        STATUS: "Serving: listeners 1, routes 1, open connections 0",
      });
      using _client = await sayHello(proxy.address(), "a.test");
      using _served = await backend.accept();
      await socket.datagrams.find(({ WATCHDOG, STATUS }) =>
        WATCHDOG === "1" && STATUS === "Serving: listeners 1, routes 1, open connections 1"
      );
      proxy.signal("SIGHUP");
      const reloading = await socket.find("RELOADING");
      assert.ok(Number(reloading["MONOTONIC_USEC"]) > 0);
      await socket.datagrams.findAll(2, ({ READY }) => READY === "1");
      proxy.signal("SIGTERM");
      assert.equal((await socket.find("STOPPING"))["EXTEND_TIMEOUT_USEC"], "30000000");
      proxy.signal("SIGTERM");
      assert.equal((await proxy.exit()).code, 0);
      assert.deepEqual(proxy.log.seen.filter(({ event }) => event === "service_manager"), []);
    });
  },
});

Deno.test({
  name: "systemd hears of a takeover from the new process alone, which goes on with the watchdog (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withManager(async (folder, socket) => {
      const manager = { NOTIFY_SOCKET: socket.path };
      await using servers = await Succession.start([], {}, folder, {
        ...manager,
        WATCHDOG_USEC: "400000",
      });
      await socket.find("WATCHDOG");
      // systemd tells the interval of its watchdog to the main process that it starts, and to no other.
      const before = await servers.takeOver({ environment: manager });
      const { pid } = servers.current;
      await socket.datagrams.find(({ READY, MAINPID }) => READY === "1" && MAINPID === String(pid));
      assert.equal((await before.exit()).code, 0);
      const told = socket.datagrams.seen.length;
      await socket.datagrams.find((datagram) =>
        datagram["WATCHDOG"] === "1" && socket.datagrams.seen.indexOf(datagram) >= told
      );
      assert.deepEqual(socket.datagrams.seen.filter((datagram) => "STOPPING" in datagram), []);
      servers.current.signal("SIGTERM");
      await socket.find("STOPPING");
      assert.equal((await servers.current.exit()).code, 0);
    });
  },
});

Deno.test({
  name: "the watchdog of another process is left alone (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withManager(async (folder, socket) => {
      const environment = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" };
      await using proxy = await Proxy.start({ listeners: [{ addr: "127.0.0.1:0", routes: [] }] }, {
        folder,
        environment,
      });
      proxy.signal("SIGTERM");
      await socket.find("STOPPING");
      await proxy.exit();
      assert.deepEqual(socket.datagrams.seen.filter((datagram) => "WATCHDOG" in datagram), []);
    });
  },
});

Deno.test({
  name: "a manager that is not there is one line of the log, and the server serves (needs Linux)",
  ignore: !onLinux,
  async fn() {
    const environment = { NOTIFY_SOCKET: "/none/notify", WATCHDOG_USEC: HOURS_USEC };
    await using proxy = await Proxy.start({ listeners: [{ addr: "127.0.0.1:0", routes: [] }] }, { environment });
    const line = await proxy.event("service_manager");
    assert.deepEqual([line.level, line["reason"]], ["warn", "ENOENT"]);
    proxy.signal("SIGTERM");
    assert.equal((await proxy.exit()).code, 0);
  },
});
