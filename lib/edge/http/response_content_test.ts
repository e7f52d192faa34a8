import assert from "node:assert/strict";
import { hasNoContent, opensTunnel, soundHead } from "./response_content.ts";
import { requestHead } from "./testdata/client_peer.ts";

const head = (status: number) => ({
  status,
  fields: ["content-length", "5", "x", "content-length", "sec-websocket-accept", "y"],
  neverIndexed: undefined,
});
const WEBSOCKET = requestHead({ method: "CONNECT", protocol: "websocket" });

Deno.test("a length stays where it is that of content, sent or not", () => {
  for (const status of [200, 206, 304, 404, 502]) {
    assert.deepEqual(soundHead(requestHead(), head(status)).fields, head(status).fields);
  }
  for (const status of [103, 204, 205]) {
    assert.deepEqual(soundHead(requestHead(), head(status)).fields, [
      "x",
      "content-length",
      "sec-websocket-accept",
      "y",
    ]);
  }
});

Deno.test("a tunnel has neither a length nor the Accept of another connection; a refused one is an answer like any", () => {
  assert.deepEqual(soundHead(WEBSOCKET, head(200)).fields, ["x", "content-length"]);
  assert.deepEqual(soundHead(WEBSOCKET, head(404)).fields, head(404).fields);
  assert.equal(opensTunnel(WEBSOCKET, head(200)), true);
  assert.equal(opensTunnel(WEBSOCKET, head(404)), false);
  assert.equal(opensTunnel(WEBSOCKET, { ...head(200), upgradeIgnored: true }), false);
  assert.equal(opensTunnel(requestHead(), head(200)), false);
});

Deno.test("204, 205, 304 and answers to HEAD have no content", () => {
  assert.deepEqual([200, 204, 205, 206, 304, 400].filter((status) => hasNoContent("GET", status)), [204, 205, 304]);
  assert.ok(hasNoContent("HEAD", 200));
});
