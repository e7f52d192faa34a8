/**
 * The client's side of the latency row: messages at fixed times, whatever becomes of them, so that a proxy that is slow
 * is asked no less often than one that is fast.
 *
 * @module
 */

import { Echoes } from "./echoes.ts";
import { send } from "./libc.ts";
import { type Load, type Measurement, Moment } from "./measurement.ts";
import { MESSAGE_LENGTH } from "./protocol.ts";
import { quantile } from "./statistics.ts";

/** How often each connection sends, in milliseconds. */
const INTERVAL_MS = 20;
/** The finest time that epoll_wait(2) knows. */
const TICK_MS = 1;
const STALL_MS = 10_000;

/** A connection's next message, or the one that is on its way. */
interface Message {
  /** When it is to go out, or was to. */
  due: number;
  sent: boolean;
}

/** Runs the load `paced`, with handshakes beside it where it says so. */
export async function runPaced(load: Load): Promise<Measurement> {
  if (load.handshakes === undefined) return run(load, () => 0);
  const { HandshakeThread } = await import("./handshake_thread.ts");
  using thread = new HandshakeThread(load.handshakes);
  await thread.started;
  const measurement = run(load, () => thread.count);
  return { ...measurement, tls: await thread.stop() };
}

function run(load: Load, countHandshakes: () => number): Measurement {
  const bytes = new Uint8Array(MESSAGE_LENGTH);
  const messages = new Map<number, Message>(); // by descriptor
  const latencies: number[] = [];
  let lastEcho = performance.now();
  const begin = (fd: number, message: Message) => {
    message.sent = true;
    send(fd, bytes);
  };
  const echoes = new Echoes(load.port, bytes, (fd) => {
    const now = lastEcho = performance.now();
    const message = messages.get(fd);
    if (message === undefined || !message.sent) return; // the message that a connection begins with
    latencies.push(now - message.due);
    message.due += INTERVAL_MS;
    message.sent = false;
    // One that the echo before it held up is timed from when it was due: the wait is the proxy's doing.
    if (message.due <= now) begin(fd, message);
  });
  const first = performance.now() + load.warmUpMs / 2; // until then, connections are made
  for (let i = 0; i < load.connections; i++) {
    messages.set(echoes.open(), { due: first + INTERVAL_MS * i / load.connections, sent: false });
  }
  const tick = (now: number) => {
    for (const [fd, message] of messages) {
      if (message.sent || message.due > now) continue;
      message.due = now; // it is this client that is late
      begin(fd, message);
    }
  };
  const runFor = (ms: number) => {
    const end = performance.now() + ms;
    for (let now = performance.now(); now < end; now = performance.now()) {
      tick(now);
      echoes.poller.wait(TICK_MS, echoes.onReady);
      if (now - lastEcho > STALL_MS) throw new Error(`nothing came from the proxy for ${STALL_MS} ms`);
    }
  };
  runFor(load.warmUpMs);
  const before = { messages: latencies.length, handshakes: countHandshakes() };
  const moment = new Moment(load);
  runFor(load.measureMs);
  const measured = latencies.slice(before.messages);
  const handshakes = countHandshakes() - before.handshakes;
  const [p50 = 0, p99 = 0] = [0.5, 0.99].map((share) => 1000 * quantile(measured, share));
  return { ...moment.since(measured.length), latency: { p50, p99 }, handshakes };
}
