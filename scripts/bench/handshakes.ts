/**
 * The thread that makes TLS handshakes beside a load, see handshake_thread.ts: so many a second are begun, and each
 * connection is closed once both sides have sent their SETTINGS.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { COUNT, type HandshakeNews, type HandshakeOrder, STOP } from "./handshake_thread.ts";
import { yieldToOthers } from "./libc.ts";
import { QuietClient } from "./quiet_client.ts";

/** How many are under way at most; where the proxy is slower than they are wanted, as many always are. */
const AT_ONCE = 64;
const TICK_MS = 1;

const tell = (news: HandshakeNews) => self.postMessage(news);

self.onmessage = ({ data }: MessageEvent<HandshakeOrder>) => {
  yieldToOthers(); // the messages are what is timed
  tell({ kind: "started" });
  tell({ kind: "stopped", tls: run(data) });
};

function run({ handshakes: { port, perSecond }, state }: HandshakeOrder): string {
  let underWay = 0;
  const client = new QuietClient(port, (fd) => {
    client.close(fd);
    underWay--;
    Atomics.add(state, COUNT, 1);
  });
  let owed = 0;
  let before = performance.now();
  while (Atomics.load(state, STOP) === 0) {
    const now = performance.now();
    owed = Math.min(AT_ONCE, owed + (now - before) * perSecond / 1000); // what cannot be begun in time is let go
    before = now;
    for (; owed >= 1 && underWay < AT_ONCE; owed--, underWay++) client.open();
    client.poller.wait(TICK_MS, client.onReady);
  }
  return client.described ?? "no handshake was done";
}
