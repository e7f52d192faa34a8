import assert from "node:assert/strict";
import type { Measurement } from "./measurement.ts";
import { idleValues, latencyValues, logValues } from "./values.ts";

const MEASURED: Measurement = {
  count: 1_000,
  total: 1_200,
  seconds: 2,
  cpuSeconds: 1,
  memory: 0,
  resident: 0,
  steal: 0,
  others: 0,
};

Deno.test("what a log costs is how much more CPU time a connection takes with it", () => {
  const values = logValues({ ...MEASURED, cpuSeconds: 1.5 }, 1_200, MEASURED);
  assert.equal(values["CPU µs per connection"], 1_500);
  assert.equal(values["without the log"], 1_000);
  assert.equal(values["cost of the log, %"], 50);
  assert.equal(values["lines per connection"], 1, "those before the measured time have lines, too");
  assert.equal(values["connections/s"], 500);
});

Deno.test("latency is compared with that of the same proxy without handshakes, which are charged with what they add", () => {
  const alone = { ...MEASURED, cpuSeconds: 0.5, latency: { p50: 100, p99: 200 } };
  const values = latencyValues({ ...MEASURED, latency: { p50: 150, p99: 800 }, handshakes: 500 }, alone);
  assert.equal(values["p99 / p99 without"], 4);
  assert.equal(values["p50 without handshakes, µs"], 100);
  assert.equal(values["handshakes/s"], 250);
  assert.equal(values["CPU µs per handshake"], 1_000);
});

Deno.test("memory per connection is what the proxy has grown by", () => {
  assert.deepEqual(idleValues({ ...MEASURED, memory: 2_048_000, resident: 3 * 2 ** 20 }), {
    "KiB per connection": 2,
    "RSS of all, MiB": 3,
  });
});
