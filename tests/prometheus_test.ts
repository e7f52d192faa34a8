import assert from "node:assert/strict";
import { FAMILIES, type Family, type FamilyName, fullName, PROCESS_FAMILIES } from "../lib/control/metrics/families.ts";
import { codeBlocks } from "./harness/docs.ts";
import { administered } from "./harness/admin.ts";
import { HttpBackend, L7, reflect } from "./harness/http.ts";
import { METRICS, metricsUrl } from "./harness/metrics.ts";
import { Backend, REFUSING, sayHello } from "./harness/peers.ts";
import { Prometheus } from "./harness/prometheus.ts";
import { isInstalled, runTool } from "./harness/tools.ts";

const ALERTS = new URL("../config/alerts.yml", import.meta.url).pathname;
const DOCUMENT = Deno.readTextFileSync(new URL("../docs/METRICS.md", import.meta.url));
const DASHBOARD = new URL("../config/grafana-dashboard.json", import.meta.url).pathname;

/** A test of Debian's prometheus package; without it, one that says why it is ignored. */
function testWithPrometheus(name: string, fn: () => Promise<void>): void {
  const ignore = !isInstalled("prometheus") || !isInstalled("promtool");
  Deno.test({ name: ignore ? `${name} (needs Debian's prometheus)` : name, ignore, fn });
}

/** Every series that there can be, by name. */
function seriesNames(): ReadonlySet<string> {
  const families: [string, Family][] = [
    ...Object.entries(FAMILIES).map(([name, family]): [string, Family] => [fullName(name as FamilyName), family]),
    ...Object.entries(PROCESS_FAMILIES),
  ];
  return new Set(
    families.flatMap(([name, { type }]) =>
      type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name]
    ),
  );
}

/** The expressions of the alert rules: what stands behind `expr:`, on its line or indented below. */
function alertExpressions(): string[] {
  const found = Deno.readTextFileSync(ALERTS).matchAll(/^ +expr: (?:>\n((?: {10,}.*\n)+)|(.*)\n)/gm);
  return Array.from(found, ([, folded, plain]) => (folded ?? plain ?? "").trim());
}

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly targets?: readonly { readonly expr: string }[];
}

/** The expressions of the dashboard, its variables replaced by what Grafana would put in their place. */
function dashboardExpressions(): string[] {
  const { panels }: { panels: readonly Panel[] } = JSON.parse(Deno.readTextFileSync(DASHBOARD));
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .map((expr) => expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$\w+/g, ".*"));
}

/** The queries of docs/METRICS.md, each on a line. */
function documentedExpressions(): string[] {
  return blocks("promql").flatMap((block) => block.trimEnd().split("\n"));
}

function blocks(language: string): string[] {
  return codeBlocks(DOCUMENT, language);
}

function allExpressions(): string[] {
  return [...alertExpressions(), ...dashboardExpressions(), ...documentedExpressions()];
}

/** The metrics of a text, without the suffixes of their series. */
function metricsIn(text: string): Set<string> {
  return new Set(
    (text.match(/\b(?:mcproxy|process)_\w+/g) ?? []).map((name) =>
      name.replace(/_seconds_(?:bucket|sum|count)$/, "_seconds")
    ),
  );
}

Deno.test("docs/METRICS.md has every metric with its type and labels, and a query that uses it", () => {
  const rows = Array.from(
    DOCUMENT.matchAll(/^\| `((?:mcproxy|process)_\w+)` +\| (\w+) +\| ([^|]*?) *\|/gm),
    ([, ...row]) => row,
  );
  const families = [
    ...Object.entries(FAMILIES).map(([name, family]) => [fullName(name as FamilyName), family] as const),
    ...Object.entries(PROCESS_FAMILIES),
  ];
  const expected = families.map((
    [name, { type, labels }],
  ) => [name, type, labels.map((label) => `\`${label}\``).join(", ")]);
  assert.deepEqual(rows.toSorted(), expected.toSorted());
  assert.deepEqual([...metricsIn(documentedExpressions().join("\n"))].sort(), families.map(([name]) => name).sort());
});

Deno.test("every query of alerts, dashboard and docs/METRICS.md is of metrics that there are", () => {
  const known = seriesNames();
  const expressions = allExpressions();
  assert.ok(expressions.length > 60, String(expressions.length));
  for (const expression of expressions) {
    const names = expression.match(/\b(?:mcproxy|process)_\w+/g) ?? [];
    assert.ok(names.length > 0 || expression.startsWith("up{"), expression);
    for (const name of names) assert.ok(known.has(name), `${name} in ${expression}`);
  }
});

Deno.test("every alert and every panel says what to look at", () => {
  const rules = Deno.readTextFileSync(ALERTS).split("- alert:").slice(1);
  assert.equal(rules.length, alertExpressions().length);
  for (const rule of rules) assert.match(rule, /^ +runbook: "?\S.{20,}$/m, rule);
  const { panels }: { panels: readonly Panel[] } = JSON.parse(Deno.readTextFileSync(DASHBOARD));
  for (const { type, title, description } of panels) {
    if (type !== "row") assert.match(description ?? "", /Runbook: ./, title);
  }
});

testWithPrometheus("promtool finds nothing wrong with the alert rules, and they alert when they should", async () => {
  const { code, stdout, stderr } = await runTool("promtool", ["check", "rules", ALERTS]);
  assert.deepEqual([code, stderr], [0, ""], stdout);
  const tests = Deno.readTextFileSync(new URL("testdata/alerts_test.yml", import.meta.url)).replace("ALERTS", ALERTS);
  const file = Deno.makeTempFileSync({ suffix: ".yml" });
  try {
    Deno.writeTextFileSync(file, tests);
    const tested = await runTool("promtool", ["test", "rules", file]);
    assert.equal(tested.code, 0, tested.stdout + tested.stderr);
  } finally {
    Deno.removeSync(file);
  }
});

testWithPrometheus("the scrape configuration of docs/METRICS.md is sound", async () => {
  const [example, ...others] = blocks("yaml");
  assert.ok(example !== undefined && others.length === 0);
  const file = Deno.makeTempFileSync({ suffix: ".yml" });
  try {
    Deno.writeTextFileSync(file, example.replace("/etc/prometheus/mc-proxy/alerts.yml", ALERTS));
    const { code, stdout, stderr } = await runTool("promtool", ["check", "config", file]);
    assert.equal(code, 0, stdout + stderr);
  } finally {
    Deno.removeSync(file);
  }
});

testWithPrometheus("promtool finds nothing wrong with the metrics of a proxy that was used", async () => {
  await using origin = await HttpBackend.start("h2c", reflect);
  await using test = await L7.start([{ hostname: "www.test", backend: origin.addr }], { metrics: METRICS });
  using peer = await test.connect("h2", "www.test");
  await peer.ask();
  await test.proxy.event("request");
  const text = await (await fetch(await metricsUrl(test.proxy))).text();
  assert.match(text, /^mcproxy_l7_request_duration_seconds_count\{hostname="www\.test"\} 1$/m);
  const promtool = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await new Blob([text]).stream().pipeTo(promtool.stdin);
  const { code, stdout, stderr } = await promtool.output();
  const decoder = new TextDecoder();
  assert.deepEqual([code, decoder.decode(stdout), decoder.decode(stderr)], [0, "", ""]);
});

testWithPrometheus(
  "Prometheus scrapes a running proxy, and understands every query of alerts and dashboard",
  async () => {
    using echo = new Backend();
    void echo.echo();
    const routes = [{ hostname: "a.test", backend: echo.addr }, { hostname: "b.test", backend: REFUSING }];
    await using test = await administered(routes, { metrics: METRICS });
    const { proxy, addr } = test;
    for (let i = 0; i < 10; i++) {
      using client = await sayHello(proxy.address(), "a.test");
      await client.closeWrite();
      await new Response(client.readable).bytes();
      await proxy.end(client);
    }
    using refused = await sayHello(proxy.address(), "b.test");
    await proxy.end(refused);

    const target = new URL(await metricsUrl(proxy)).host;
    await using prometheus = await Prometheus.start(target);
    const one = async (expression: string) => (await prometheus.result(expression)).map(({ value }) => value[1]);
    assert.deepEqual(await one("up"), ["1"]);
    assert.deepEqual(await one(`mcproxy_connections_total{listener="${addr}"}`), ["11"]);
    assert.deepEqual(await one(`mcproxy_backend_dial_duration_seconds_count{backend="${echo.addr}"}`), ["10"]);
    assert.deepEqual(await one(`mcproxy_backend_dial_duration_seconds_bucket{le="+Inf"}`), ["10"]);
    assert.deepEqual(await one(`mcproxy_backend_dial_errors_total{backend="${REFUSING}"}`), ["1"]);
    assert.deepEqual(await one('mcproxy_connections_rejected_total{reason="backend_refused"}'), ["1"]);
    const quantile = "histogram_quantile(0.9, sum by (le) (mcproxy_backend_dial_duration_seconds_bucket))";
    assert.ok(Number((await one(quantile))[0]) > 0);

    const { activeTargets } = await prometheus.ask("targets") as { activeTargets: Record<string, unknown>[] };
    assert.deepEqual(activeTargets.map(({ health, lastError }) => [health, lastError]), [["up", ""]]);
    const metadata = await prometheus.ask("metadata") as Record<string, { type: string; help: string }[]>;
    // Prometheus asks for OpenMetrics, where the names of counters are without their suffix.
    const { type, help } = metadata["mcproxy_connections"]?.[0] ?? metadata["mcproxy_connections_total"]?.[0] ?? {};
    assert.deepEqual([type, help], ["counter", FAMILIES.connections_total.help]);

    const { groups } = await prometheus.ask("rules") as {
      groups: { rules: { health: string; lastError?: string }[] }[];
    };
    for (const rule of groups.flatMap(({ rules }) => rules)) {
      assert.notEqual(rule.health, "err", String(rule.lastError));
    }
    for (const expression of allExpressions()) await prometheus.query(expression);
  },
);
