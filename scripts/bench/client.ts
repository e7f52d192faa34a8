/**
 * The load generator of the benchmark, as a process of its own: puts one load on one proxy, and reads the proxy's CPU
 * time or memory at the very moments at which the measured time begins and ends.
 *
 * The load is its only argument, as JSON; the result is one line of JSON on standard output.
 *
 * @module
 */

import { Echoes, greet } from "./echoes.ts";
import { close, connect, discard, Poller, READABLE, receive, send, WOULD_BLOCK } from "./libc.ts";
import { type Load, measure, measureIdle, type Measurement, poll } from "./measurement.ts";
import { runPaced } from "./paced.ts";
import { ANSWER_LENGTH, clientHello, FIRST_ANSWER_HOST, FLOOD_HOST, MESSAGE_LENGTH, setHost } from "./protocol.ts";
import { quantile } from "./statistics.ts";

if (import.meta.main) console.log(JSON.stringify(await run(JSON.parse(Deno.args[0] ?? ""))));

async function run(load: Load): Promise<Measurement> {
  switch (load.kind) {
    case "bulk":
      return runBulk(load);
    case "new":
      return runNew(load);
    case "exchange":
      return runExchange(load);
    case "idle":
      return runIdle(load);
    case "paced":
      return await runPaced(load);
    case "idle-tls": {
      const { runIdleTls } = await import("./quiet_client.ts"); // which needs libssl
      return runIdleTls(load);
    }
    default: {
      const { runHttp } = await import("./http_client.ts"); // which needs libssl
      return runHttp({ ...load, kind: load.kind });
    }
  }
}

function runBulk(load: Load): Measurement {
  const poller = new Poller();
  const buffer = new Uint8Array(1024 * 1024);
  const hello = clientHello(FLOOD_HOST);
  let bytes = 0;
  for (let i = 0; i < load.connections; i++) poller.add(greet(connect(load.port), hello), READABLE);
  return measure(load, poller, () => bytes, (fd) => {
    const n = discard(fd, buffer);
    if (n === WOULD_BLOCK) return;
    if (n <= 0) throw new Error("the proxy ended a download");
    bytes += n;
  });
}

function runNew(load: Load): Measurement {
  const poller = new Poller();
  const buffer = new Uint8Array(64 * 1024);
  const hello = clientHello(FIRST_ANSWER_HOST);
  const received: number[] = []; // by descriptor
  let opened = 0;
  let ended = 0;
  const open = () => {
    setHost(hello, FIRST_ANSWER_HOST + (opened * 7919) % (load.hosts - FIRST_ANSWER_HOST)); // a prime: visits them all
    // 65,536 clients, as far as a firewall can tell: 127.1.0.0 and up.
    const fd = greet(connect(load.port, 0x7f010000 + opened % 65536), hello);
    received[fd] = 0;
    poller.add(fd, READABLE);
    opened++;
  };
  for (let i = 0; i < load.connections; i++) open();
  return measure(load, poller, () => ended, (fd) => {
    const n = receive(fd, buffer);
    if (n === WOULD_BLOCK) return;
    const sum = (received[fd] ?? 0) + n;
    if (n > 0) return void (received[fd] = sum);
    if (n < 0 || sum !== ANSWER_LENGTH) throw new Error(`the proxy ended a connection after ${sum - n} bytes`);
    close(fd);
    ended++;
    open();
  });
}

function runExchange(load: Load): Measurement {
  const message = new Uint8Array(MESSAGE_LENGTH);
  const sentAt: number[] = []; // by descriptor
  const latencies: number[] = [];
  const echoes = new Echoes(load.port, message, (fd) => {
    const now = performance.now();
    latencies.push(now - (sentAt[fd] ?? now));
    sentAt[fd] = now;
    send(fd, message);
  });
  for (let i = 0; i < load.connections; i++) echoes.open();
  let before = 0;
  const measurement = measure(load, echoes.poller, () => latencies.length, echoes.onReady, () => {
    before = latencies.length;
  });
  const measured = latencies.slice(before);
  const [p50 = 0, p99 = 0] = [0.5, 0.99].map((share) => 1000 * quantile(measured, share));
  return { ...measurement, latency: { p50, p99 } };
}

function runIdle(load: Load): Measurement {
  let done = 0;
  const echoes = new Echoes(load.port, new Uint8Array(MESSAGE_LENGTH), () => void done++);
  const open = () => {
    const wanted = done + 1;
    const fd = echoes.open();
    while (done < wanted) poll(echoes.poller, echoes.onReady);
    return fd;
  };
  return measureIdle(load, { open, close });
}
