import assert from "node:assert/strict";
import { httpBackend, type L7Setup } from "./setup.ts";

const SETUP: Omit<L7Setup, "behaviour"> = {
  port: 1,
  backends: { small: 10, grpc: 11, body: 12, small1: 13, body1: 14, smallTls: 15, small1Tls: 16 },
  certificate: { cert: "", key: "", both: "", ca: "" },
};

Deno.test("a proxy that has HTTP/2 to backends is given one that speaks it", () => {
  const port = (behaviour: L7Setup["behaviour"]) => httpBackend({ ...SETUP, behaviour }, true);
  assert.deepEqual(port("small"), { port: 10, http1: false });
  assert.deepEqual(port("grpc"), { port: 11, http1: false });
  assert.deepEqual(port("body"), { port: 12, http1: false });
});

Deno.test("a proxy that has none is given one of HTTP/1.1, but for gRPC", () => {
  const port = (behaviour: L7Setup["behaviour"]) => httpBackend({ ...SETUP, behaviour }, false);
  assert.deepEqual(port("small"), { port: 13, http1: true });
  assert.deepEqual(port("grpc"), { port: 11, http1: false });
  assert.deepEqual(port("body"), { port: 14, http1: true });
});

Deno.test("a row that wants TLS to backends gets backends of TLS, and the version that it wants where the proxy has it", () => {
  const port = (backendTls: "h2" | "http1", hasHttp2: boolean) =>
    httpBackend({ ...SETUP, behaviour: "small", backendTls }, hasHttp2);
  assert.deepEqual(port("h2", true), { port: 15, http1: false });
  assert.deepEqual(port("h2", false), { port: 16, http1: true });
  assert.deepEqual(port("http1", true), { port: 16, http1: true });
});
