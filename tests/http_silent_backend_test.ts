import assert from "node:assert/strict";
import { L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { type Heard, RecordingBackend } from "./harness/raw_backend.ts";
import { END_HEADERS, END_STREAM, frame, headers, joined, pseudo, RawHttp2Client, TYPES } from "./harness/raw_http.ts";

const NOTHING = new Uint8Array(0);

function ok(stream: number): Uint8Array {
  return frame("HEADERS", END_STREAM | END_HEADERS, stream, Uint8Array.of(0x88));
}

function wasPinged({ frames }: Heard): boolean {
  return frames.some(({ type, flags }) => type === TYPES.PING && flags === 0);
}

/** A backend whose first request is never answered, behind one worker: one pool. */
async function start(backend: RecordingBackend, proxy: Readonly<Record<string, unknown>> = {}): Promise<L7> {
  backend.answer = (stream) => ({ octets: stream === 1 && backend.begun === 1 ? NOTHING : ok(stream) });
  return await L7.start([{ hostname: "a.test", backend: backend.addr }], { proxy: { workers: 1, ...proxy } });
}

testEachEngine("h2c: a backend that goes silent is asked by PING, and given up where it answers none", async () => {
  await using backend = new RecordingBackend("h2c");
  await using l7 = await start(backend);
  using client = await RawHttp2Client.connect(l7);
  backend.pong = () => NOTHING;
  await client.send(headers(1, [...pseudo(), ["x-request-id", "first"]]));
  await backend.until(({ heard }) => heard.some(wasPinged));

  await client.send(headers(3, [...pseudo(), ["x-request-id", "second"]]));
  const second = await l7.proxy.event("request", { request_id: "second" });
  assert.equal(second.status, 200, "others take another connection");
  assert.equal(backend.heard.length, 2);
  const first = await l7.proxy.event("request", { request_id: "first" });
  assert.equal(first.status, 502);
  assert.equal(first.error, "the backend is silent, and answers no PING");
  await backend.until(({ heard }) => heard[0]?.isOver === true);
  assert.equal(backend.heard[1]?.isOver, false, "the other connection serves on");
});

testEachEngine("h2c: a backend that answers PING may take its time", async () => {
  await using backend = new RecordingBackend("h2c");
  await using l7 = await start(backend);
  using client = await RawHttp2Client.connect(l7);
  backend.pong = () => joined(frame("PING", 1, 0, new Uint8Array(8)), ok(1));
  await client.send(headers(1, pseudo()));
  assert.equal(await client.outcome(1), "200");
  assert.deepEqual(backend.heard.map(wasPinged), [true]);
  await client.send(headers(3, pseudo()));
  assert.equal(await client.outcome(3), "200");
  assert.equal(backend.heard.length, 1, "the connection carries the next request");
});

testEachEngine("h2c: a backend that accepts and sends no SETTINGS is given up after connect_timeout", async () => {
  await using backend = new RecordingBackend("h2c");
  backend.greeting = () => NOTHING;
  await using l7 = await start(backend, { connect_timeout: "300ms" });
  using client = await RawHttp2Client.connect(l7);
  await client.send(headers(1, [...pseudo(), ["x-request-id", "unheard"]]));
  assert.match(await client.outcome(1), /^504/);
  const { error } = await l7.proxy.event("request", { request_id: "unheard" });
  assert.equal(error, "timeout: the backend does not send its SETTINGS");
  assert.equal(backend.begun, 0, "no request is sent before SETTINGS");
});
