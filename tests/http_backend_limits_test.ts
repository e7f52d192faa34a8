import assert from "node:assert/strict";
import { L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { RecordingBackend } from "./harness/raw_backend.ts";
import { END_HEADERS, END_STREAM, frame, headers, pseudo, RawHttp2Client } from "./harness/raw_http.ts";

const NOTHING = new Uint8Array(0);

testEachEngine("a backend that does not answer within backend_timeout is a 504, and others are served on", async () => {
  await using backend = new RecordingBackend("h2c");
  const ok = (stream: number) => frame("HEADERS", END_STREAM | END_HEADERS, stream, Uint8Array.of(0x88));
  backend.answer = (stream) => ({ octets: stream === 1 ? NOTHING : ok(stream) });
  const route = { hostname: "a.test", backend: backend.addr, backend_timeout: "300ms" };
  await using l7 = await L7.start([route], { proxy: { workers: 1 } });
  using client = await RawHttp2Client.connect(l7);
  await client.send(headers(1, [...pseudo(), ["x-request-id", "mute"]]));
  assert.match(await client.outcome(1), /^504/);
  const { status, error } = await l7.proxy.event("request", { request_id: "mute" });
  assert.equal(status, 504);
  assert.equal(error, "no answer came within backend_timeout");
  await client.send(headers(3, pseudo()));
  assert.equal(await client.outcome(3), "200");
  assert.equal(backend.heard.length, 1, "the connection to the backend goes on");
});

testEachEngine("TRACE reaches the backend of a route that allows it, counted down", async () => {
  await using backend = new RecordingBackend("h2c");
  const ok = (stream: number) => frame("HEADERS", END_STREAM | END_HEADERS, stream, Uint8Array.of(0x88));
  backend.answer = (stream) => ({ octets: ok(stream) });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, allow_trace: true }]);
  using client = await RawHttp2Client.connect(l7);
  const trace = pseudo().map(([name, value]) => [name, name === ":method" ? "TRACE" : value] as const);
  await client.send(headers(1, [...trace, ["max-forwards", "1"]]));
  assert.equal(await client.outcome(1), "200");
  await client.send(headers(3, [...trace, ["max-forwards", "0"]]));
  assert.match(await client.outcome(3), /^405/);
  assert.equal(backend.begun, 1);
});
