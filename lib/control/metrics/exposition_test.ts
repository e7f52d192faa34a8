import assert from "node:assert/strict";
import { bucketsOf, Exposition, type ExpositionFormat, Label, negotiate } from "./exposition.ts";

function written(format: ExpositionFormat, write: (exposition: Exposition) => void): string[] {
  const exposition = new Exposition(format);
  write(exposition);
  return new TextDecoder().decode(exposition.end("")).split("\n").slice(0, -1).filter((line) =>
    !line.startsWith("# HELP")
  );
}

Deno.test("a counter has its suffix everywhere in text, and on its samples only in OpenMetrics", () => {
  const write = (exposition: Exposition) => {
    exposition.family("l7_responses_total")
      .sample(new Label("hostname").set("*.a.test"), 12_345_678_901, new TextEncoder().encode(`,code="200"`));
  };
  const sample = `mcproxy_l7_responses_total{hostname="*.a.test",code="200"} 12345678901`;
  assert.deepEqual(written("text", write), ["# TYPE mcproxy_l7_responses_total counter", sample]);
  assert.deepEqual(written("openmetrics", write), ["# TYPE mcproxy_l7_responses counter", sample]);
});

Deno.test("the buckets of a histogram count what is in them and below, and the last one all", () => {
  const lines = written("text", (exposition) => {
    const counts = { buckets: [2, 0, 98], count: 100, sum: 12.5 };
    exposition.family("backend_dial_duration_seconds")
      .histogram(new Label("backend").set("b:1"), bucketsOf([0.5, 1]), counts);
  });
  assert.deepEqual(lines.slice(1), [
    'mcproxy_backend_dial_duration_seconds_bucket{backend="b:1",le="0.5"} 2',
    'mcproxy_backend_dial_duration_seconds_bucket{backend="b:1",le="1"} 2',
    'mcproxy_backend_dial_duration_seconds_bucket{backend="b:1",le="+Inf"} 100',
    'mcproxy_backend_dial_duration_seconds_sum{backend="b:1"} 12.5',
    'mcproxy_backend_dial_duration_seconds_count{backend="b:1"} 100',
  ]);
});

Deno.test("values of every size are written in full", () => {
  const values = [
    0,
    1,
    9,
    10,
    11,
    99,
    100,
    101,
    1_000_000,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 53 - 1,
    0.1,
    1e-7,
    1e300,
    -1,
    Infinity,
  ];
  const lines = written("text", (exposition) => {
    const family = exposition.family("backend_dial_errors_total");
    for (const value of values) family.sample(new Label("backend").set("b"), value);
  });
  assert.deepEqual(lines.slice(1).map((line) => Number(line.split(" ")[1])), values);
});

Deno.test("no label can end its quotes, its line or the encoding", () => {
  const lines = written("text", (exposition) => {
    exposition.family("backend_dial_errors_total").sample(new Label("backend").set('a"b\\c\nd ü€😀'), 1);
  });
  assert.deepEqual(lines.slice(1), ['mcproxy_backend_dial_errors_total{backend="a\\"b\\\\c\\nd ü€😀"} 1']);
});

Deno.test("the format is the one that the scraper would rather have", () => {
  // As Prometheus 2.42 and 3.0, curl and a browser ask.
  const prometheus2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  const prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5," +
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3," +
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
  assert.equal(negotiate(prometheus2), "openmetrics");
  assert.equal(negotiate(prometheus3), "openmetrics");
  for (const accept of [null, "", "*/*", "text/html,*/*;q=0.8", "application/openmetrics-text;version=0.0.1"]) {
    assert.equal(negotiate(accept), "text", String(accept));
  }
  assert.equal(negotiate("application/openmetrics-text;q=0, text/plain"), "text");
  assert.equal(negotiate('Application/OpenMetrics-Text; Version="1.0.0"'), "openmetrics");
});

Deno.test("families that are written side by side follow each other, as long as they were and as names need", () => {
  const capacities = new Map();
  const label = new Label("backend");
  for (const count of [2, 30_000, 1]) {
    const exposition = new Exposition("text", capacities);
    const [first, second] = [
      exposition.family("backend_dial_errors_total"),
      exposition.familyAside("l7_responses_total"),
    ];
    for (let i = 0; i < count; i++) {
      label.set("x".repeat(i % 2_000));
      for (const family of [first, second]) family.sample(label, i);
    }
    const lines = new TextDecoder().decode(exposition.end("last 1\n")).split("\n").filter((line) =>
      !line.startsWith("#")
    );
    const series = (name: string) =>
      Array.from({ length: count }, (_, i) => `mcproxy_${name}{backend="${"x".repeat(i % 2_000)}"} ${i}`);
    assert.deepEqual(lines, [...series("backend_dial_errors_total"), ...series("l7_responses_total"), "last 1", ""]);
  }
});
