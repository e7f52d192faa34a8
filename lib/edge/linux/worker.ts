/**
 * The thread of a worker: it blocks in epoll, and turns to its messages when it is woken.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { stackOf } from "../thrown.ts";
import { EdgeWorker } from "./edge_worker.ts";
import type { FromWorker, ToWorker, WorkerSetup } from "./messages.ts";

const inbox: (WorkerSetup | ToWorker)[] = [];
let arrived = Promise.withResolvers<void>();

self.onmessage = (event: MessageEvent<WorkerSetup | ToWorker>) => {
  inbox.push(event.data);
  arrived.resolve();
};

async function receive(): Promise<WorkerSetup | ToWorker> {
  for (;;) {
    const message = inbox.shift();
    if (message !== undefined) return message;
    arrived = Promise.withResolvers();
    await arrived.promise;
  }
}

function report(message: FromWorker): void {
  self.postMessage(message);
}

try {
  const setup = await receive();
  if ("kind" in setup) throw new TypeError(`a message before the setup: ${setup.kind}`);
  const worker = new EdgeWorker(setup, report);
  report({ kind: "ready" });
  if (setup.accepts) worker.accept();
  for (let going = true; going;) {
    for (let messages = worker.run(); messages > 0 && going; messages--) {
      const message = await receive();
      if (!("kind" in message)) throw new TypeError("a second setup");
      going = worker.handle(message);
    }
  }
} catch (error) {
  report({ kind: "failed", stack: stackOf(error) });
}
self.close();
