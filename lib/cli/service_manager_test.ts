import assert from "node:assert/strict";
import { EAGAIN } from "../edge/linux/libc.ts";
import { readSummons, ServiceManager } from "./service_manager.ts";

const ENOENT = 2;

/** A manager's socket, whose answers a test sets. */
class Socket {
  readonly received: string[] = [];
  readonly failures: string[] = [];
  /** The results of the next datagrams; each is taken where there is none. */
  readonly answers: number[] = [];
  #arrived = Promise.withResolvers<void>();

  send(octets: Uint8Array<ArrayBuffer>): number {
    const answer = this.answers.shift() ?? octets.length;
    if (answer >= 0) this.received.push(new TextDecoder().decode(octets));
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
    return answer;
  }

  now(): number {
    return 1234.5;
  }

  failed(reason: string): void {
    this.failures.push(reason);
  }

  /** Waits for so many datagrams. */
  async datagrams(count: number): Promise<readonly string[]> {
    while (this.received.length < count) await this.#arrived.promise;
    return this.received;
  }
}

Deno.test("ready, reloading and stopping are told as sd_notify(3) has them", () => {
  const socket = new Socket();
  const manager = new ServiceManager(socket, undefined);
  manager.ready("Serving");
  manager.reloading();
  manager.reloaded();
  manager.stopping("Stopping", 30_000);
  manager.close();
  assert.deepEqual(socket.received, [
    "READY=1\nSTATUS=Serving",
    "RELOADING=1\nMONOTONIC_USEC=1234500",
    "READY=1",
    "STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=40000000",
  ]);
  assert.deepEqual(socket.failures, []);
});

Deno.test("a process that was replaced tells nothing more, whatever signal it gets", () => {
  const socket = new Socket();
  const manager = new ServiceManager(socket, undefined);
  manager.ready("Serving");
  manager.close();
  manager.reloading();
  manager.reloaded();
  manager.stopping("Stopping", 0);
  assert.deepEqual(socket.received, ["READY=1\nSTATUS=Serving"]);
});

Deno.test("a process that takes another's place says that it is the main one", () => {
  const socket = new Socket();
  new ServiceManager(socket, undefined).ready("Serving", { isNewMain: true });
  assert.deepEqual(socket.received, [`READY=1\nSTATUS=Serving\nMAINPID=${Deno.pid}`]);
});

Deno.test("a reload during the start or the stop is not told: it would hide what is under way", () => {
  const socket = new Socket();
  const manager = new ServiceManager(socket, undefined);
  manager.reloading();
  manager.reloaded();
  manager.ready("Serving");
  manager.reloading();
  manager.stopping("Stopping", 0);
  manager.reloaded();
  manager.reloading();
  assert.deepEqual(socket.received.map((text) => text.split("=")[0]), ["READY", "RELOADING", "STOPPING"]);
});

Deno.test("a program that is told to stop while it starts is not ready afterwards", () => {
  const socket = new Socket();
  const manager = new ServiceManager(socket, undefined);
  manager.stopping("Stopping", 0);
  manager.ready("Serving");
  assert.deepEqual(socket.received.map((text) => text.split("=")[0]), ["STOPPING"]);
});

Deno.test("the watchdog hears of a program that is alive, and of no other", async () => {
  const socket = new Socket();
  const manager = new ServiceManager(socket, 4);
  manager.ready("Serving");
  let asked = 0;
  const isAlive = () => ++asked === 1 ? Promise.reject(new Error("hangs")) : Promise.resolve(asked > 3);
  manager.watch(isAlive, () => `asked ${asked}`);
  assert.equal((await socket.datagrams(2))[1], "WATCHDOG=1\nSTATUS=asked 4");
  manager.stopping("Stopping", 0);
  await socket.datagrams(4);
  manager.close();
  assert.ok(socket.received.slice(3).every((text) => text === "WATCHDOG=1"), "the status is still that of the stop");
});

Deno.test("a status that cannot be told is told the next time", async () => {
  const socket = new Socket();
  const manager = new ServiceManager(socket, 4);
  manager.ready("Serving");
  let asked = 0;
  manager.watch(() => Promise.resolve(true), () => {
    if (++asked < 3) throw new Error("a fault");
    return `asked ${asked}`;
  });
  assert.equal((await socket.datagrams(2))[1], "WATCHDOG=1\nSTATUS=asked 3");
  manager.close();
});

Deno.test("as long as the program does not answer, the watchdog hears nothing", async () => {
  const socket = new Socket();
  const manager = new ServiceManager(socket, 4);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  manager.ready("Serving");
  manager.watch(() => promise, () => "Serving");
  assert.equal(socket.received.length, 1);
  resolve(true);
  await socket.datagrams(2);
  manager.close();
});

Deno.test("without a watchdog nobody is asked", () => {
  const manager = new ServiceManager(new Socket(), undefined);
  manager.watch(() => assert.fail("asked"), () => "");
});

Deno.test("what finds the manager's socket full is sent later, in order", async () => {
  const socket = new Socket();
  socket.answers.push(-EAGAIN, -EAGAIN);
  const manager = new ServiceManager(socket, undefined);
  manager.ready("Serving");
  manager.reloading();
  manager.reloaded();
  const names = (await socket.datagrams(3)).map((text) => text.split("=")[0]);
  assert.deepEqual(names, ["READY", "RELOADING", "READY"]);
  manager.close();
});

Deno.test("a manager that cannot be reached is told of once", () => {
  const socket = new Socket();
  socket.answers.push(-ENOENT, -ENOENT);
  const manager = new ServiceManager(socket, undefined);
  manager.ready("Serving");
  manager.stopping("Stopping", 0);
  assert.deepEqual([socket.received, socket.failures], [[], ["ENOENT"]]);
});

Deno.test("the environment names the socket, and the watchdog of this very process", () => {
  const summons = (variables: Record<string, string>) => readSummons((name) => variables[name]);
  assert.equal(summons({}), undefined);
  assert.equal(summons({ NOTIFY_SOCKET: "", WATCHDOG_USEC: "1" }), undefined);
  const socket = "/run/systemd/notify";
  assert.deepEqual(summons({ NOTIFY_SOCKET: socket }), { socket, watchdogMs: undefined });
  const watchdog = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "30000000" };
  assert.deepEqual(summons(watchdog), { socket, watchdogMs: 30_000 });
  assert.deepEqual(summons({ ...watchdog, WATCHDOG_PID: `${Deno.pid}` }), { socket, watchdogMs: 30_000 });
  assert.deepEqual(summons({ ...watchdog, WATCHDOG_PID: "1" }), { socket, watchdogMs: undefined });
  assert.deepEqual(summons({ ...watchdog, WATCHDOG_USEC: "soon" }), { socket, watchdogMs: undefined });
});

Deno.test("a socket that is no Unix socket is told of, and nothing else happens", () => {
  const reasons: string[] = [];
  for (const socket of ["vsock:2:1234", `/${"x".repeat(200)}`]) {
    assert.equal(
      ServiceManager.open((reason) => reasons.push(reason), 0, { socket, watchdogMs: undefined }),
      undefined,
    );
  }
  assert.equal(reasons.length, 2);
});
