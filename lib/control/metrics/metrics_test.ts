import assert from "node:assert/strict";
import { FAMILIES, type FamilyName, fullName, PROCESS_FAMILIES } from "./families.ts";
import type { ExpositionFormat } from "./exposition.ts";
import type { Metrics } from "./metrics.ts";
import { measured } from "./testdata/measured.ts";

const L7 = { hostname: "*.a.test", backend: "b.test:1", mode: "l7" } as const;
const L4 = { hostname: "c.test", backend: "d.test:1", mode: "l4" } as const;

async function render(metrics: Metrics, format: ExpositionFormat): Promise<string> {
  return new TextDecoder().decode(await metrics.render(format));
}

Deno.test("every metric there is is told in both formats, once, and so are all its lines", async () => {
  const { metrics, routeCounts, writers } = measured([L7, L4]);
  const { backend, hostname } = routeCounts.rows(L7);
  for (const writer of writers) {
    writer.dialled(backend, 0.1);
    writer.dialFailed(backend);
    writer.request(hostname, 403, 0.1);
    writer.policyBlock(hostname, "require_header");
  }
  const names = [
    ...Object.keys(FAMILIES).map((name) => fullName(name as FamilyName)),
    ...Object.keys(PROCESS_FAMILIES),
  ];
  for (const format of ["openmetrics", "text", "openmetrics", "text"] as const) {
    const text = await render(metrics, format);
    const told = Array.from(
      text.matchAll(/^# TYPE (\S+) (\w+)$/gm),
      ([, name = "", type]) => format === "openmetrics" && type === "counter" ? `${name}_total` : name,
    );
    assert.deepEqual(told.sort(), names.toSorted());
    for (
      const line of [
        'mcproxy_l7_responses_total{hostname="*.a.test",code="403"} 4',
        'mcproxy_l7_policy_blocks_total{hostname="*.a.test",type="require_header"} 4',
        'mcproxy_backend_dial_errors_total{backend="b.test:1"} 4',
        'mcproxy_backend_dial_errors_total{backend="d.test:1"} 0',
        'mcproxy_backend_dial_duration_seconds_count{backend="b.test:1"} 4',
        'mcproxy_l7_request_duration_seconds_bucket{hostname="*.a.test",le="0.1"} 4',
        'mcproxy_tls_certificate_expiry_timestamp_seconds{hostname="*.a.test"} 1',
        'mcproxy_connections_total{listener=":443"} 3',
        'mcproxy_connections_rejected_total{listener=":443",reason="blocked_ip"} 2',
        'mcproxy_firewall_blocked_total{reason="ip"} 2',
        'mcproxy_accept_failures_total{listener=":443"} 1',
        'mcproxy_geoip_build_timestamp_seconds{path="/geo.mmdb"} 5',
        "mcproxy_geoip_reload_failures_total 6",
        "mcproxy_certificate_reloads_total 7",
        "mcproxy_certificate_reload_failures_total 8",
        "mcproxy_log_lines_dropped_total 9",
        "mcproxy_worker_restarts_total 1",
        "mcproxy_worker_threads_up 3",
        "mcproxy_internal_errors_total 2",
      ]
    ) assert.ok(text.includes(`\n${line}\n`), `${line} in ${format}:\n${text}`);
  }
});

Deno.test("a backend that was never dialled has no histogram, and a host name that was never asked for nothing but its certificate", async () => {
  const { metrics } = measured([L7, L4]);
  const text = await render(metrics, "text");
  const lines = text.split("\n").filter((line) => /\.test/.test(line));
  assert.deepEqual(lines.sort(), [
    'mcproxy_backend_dial_errors_total{backend="b.test:1"} 0',
    'mcproxy_backend_dial_errors_total{backend="d.test:1"} 0',
    'mcproxy_tls_certificate_expiry_timestamp_seconds{hostname="*.a.test"} 1',
  ]);
});

Deno.test("each scrape tells what is counted by then", async () => {
  const { metrics, routeCounts, writers: [writer] } = measured([L4]);
  const errors = async () => /dial_errors_total\{\S+ (\d+)/.exec(await render(metrics, "text"))?.[1];
  assert.equal(await errors(), "0");
  writer?.dialFailed(routeCounts.rows(L4).backend);
  assert.equal(await errors(), "1");
});
