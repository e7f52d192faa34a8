import assert from "node:assert/strict";
import { HAS_CHROMIUM, Tab } from "./harness/chromium.ts";
import { HttpBackend, L7, reflect } from "./harness/http.ts";
import { METRICS, metricsUrl, scrape } from "./harness/metrics.ts";
import { sayHello, writeAll } from "./harness/peers.ts";
import { Proxy } from "./harness/proxy.ts";

const LISTENERS = [{ addr: "127.0.0.1:0" }];

Deno.test("the page is there where it is asked for, and only then", async () => {
  await using without = await Proxy.start({ listeners: LISTENERS, metrics: METRICS });
  for (const path of ["/", "/stats.json"]) {
    const answer = await fetch(await metricsUrl(without, path));
    assert.equal(answer.status, 404);
    await answer.body?.cancel();
  }
  await using proxy = await Proxy.start({ listeners: LISTENERS, metrics: { ...METRICS, dashboard: true } });
  const page = await fetch(await metricsUrl(proxy, "/"));
  const text = await page.text();
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; script-src 'sha256-[^']+' 'sha256-[^']+'; style-src 'sha256-/);
  assert.ok(!/unsafe|\*|https?:/.test(policy), policy);
  assert.ok(!/(?:src|href)="(?!data:,|stats\.json)/.test(text), "nothing of it comes from elsewhere");
  const refused = await fetch(await metricsUrl(proxy, "/stats.json"), { method: "POST" });
  assert.equal(refused.status, 405);
  await refused.body?.cancel();
});

Deno.test("no web site can read the page by a name of its own, and scrapers may use names unless some are given", async () => {
  const ask = async (proxy: Proxy, path: string, host: string): Promise<number> => {
    const { hostname, port } = new URL(await metricsUrl(proxy));
    using conn = await Deno.connect({ hostname, port: Number(port) });
    await writeAll(
      conn,
      new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
    );
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(await new Response(conn.readable).text()) ?? [];
    return Number(status);
  };
  const dashboard = { ...METRICS, dashboard: true };
  await using open = await Proxy.start({ listeners: LISTENERS, metrics: dashboard });
  await using named = await Proxy.start({ listeners: LISTENERS, metrics: { ...dashboard, hosts: ["Proxy.test"] } });
  for (
    const [host, byOpen, byNamed] of [
      ["localhost:9090", 200, 200],
      ["127.0.0.1", 200, 200],
      ["proxy.test:9090", 421, 200],
      ["rebinding.test:9090", 421, 421],
    ] as const
  ) {
    for (const path of ["/", "/stats.json"]) {
      assert.deepEqual(
        [await ask(open, path, host), await ask(named, path, host)],
        [byOpen, byNamed],
        `${host}${path}`,
      );
    }
    assert.deepEqual([await ask(open, "/metrics", host), await ask(named, "/metrics", host)], [200, byNamed], host);
    assert.deepEqual([await ask(open, "/readyz", host), await ask(named, "/readyz", host)], [200, 200], host);
  }
});

/** Resolves in the page when it has shown what was read since. */
const SHOWN = `new Promise((resolve) => {
  const first = Date.now();
  new MutationObserver(() => {
    if (Date.parse(document.body.dataset.time) >= first) resolve(true);
  }).observe(document.body, { attributes: true });
})`;

const SERIES = `Object.fromEntries(Array.from(document.querySelectorAll("[data-series]"), (each) =>
  [each.dataset.series, Number(each.dataset.value)]))`;

/** What stands in the first column of a table. */
const namesOf = (title: string) =>
  `Array.from(document.querySelectorAll("section.card")).find((card) => card.querySelector("h2").textContent === "${title}")
    .querySelectorAll("tbody th").values().map((cell) => cell.textContent).toArray()`;

Deno.test({
  name: `in a browser, the page is used with the keyboard alone${
    HAS_CHROMIUM ? "" : " (not tested: there is no chromium)"
  }`,
  ignore: !HAS_CHROMIUM,
  fn: async () => {
    const hosts = ["www.test", "api.test", "other.example"];
    await using test = await L7.start(hosts.map((hostname) => ({ hostname, backend: "127.0.0.1:9" })), {
      metrics: { ...METRICS, dashboard: true },
    });
    await using tab = await Tab.open();
    await tab.go(await metricsUrl(test.proxy, "/"));
    assert.equal(await tab.evaluate(SHOWN), true);
    const focused = async () =>
      String(await tab.evaluate("document.activeElement.id || document.activeElement.className"));

    await tab.press("Tab");
    assert.equal(await focused(), "filter");
    assert.equal(await tab.evaluate("document.activeElement.labels[0].textContent"), "Show only names with");
    assert.notEqual(
      await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle"),
      "none",
      "focus is seen",
    );
    await tab.type(".TEST");
    assert.deepEqual((await tab.evaluate(namesOf("Certificates")) as string[]).sort(), ["api.test", "www.test"]);
    await tab.press("Enter");
    assert.equal(await tab.evaluate(SHOWN), true);
    assert.equal(
      await tab.evaluate("document.getElementById('filter').value"),
      ".TEST",
      "the page was not loaded anew",
    );
    assert.equal(
      (await tab.evaluate(namesOf("Certificates")) as string[]).length,
      2,
      "it holds for the next figures too",
    );

    // Every table that is shown can be scrolled without a mouse.
    const regions = await tab.evaluate("document.querySelectorAll('.scroll:not([hidden])').length");
    assert.ok(Number(regions) > 0);
    for (let i = 0; i < Number(regions); i++) {
      await tab.press("Tab");
      assert.equal(await focused(), "scroll");
    }
    await tab.evaluate("document.getElementById('filter').focus(); document.getElementById('filter').select()");
    await tab.type("nothing-has-this");
    assert.deepEqual(await tab.evaluate(namesOf("Certificates")), []);
    assert.deepEqual(tab.complaints, []);
  },
});

Deno.test({
  name: `in a browser, the page shows the figures of the metrics, and asks nobody else${
    HAS_CHROMIUM ? "" : " (not tested: there is no chromium)"
  }`,
  ignore: !HAS_CHROMIUM,
  fn: async () => {
    await using origin = await HttpBackend.start("h2c", reflect);
    await using test = await L7.start([{ hostname: "www.test", backend: origin.addr }], {
      metrics: { ...METRICS, dashboard: true },
    }, { max_connections: 100 });
    const { proxy } = test;
    {
      using peer = await test.connect("h2", "www.test");
      for (let i = 0; i < 3; i++) await peer.ask({ path: "/" });
    }
    await proxy.event("connection", { protocol: "h2" });
    using refused = await sayHello(proxy.address(), "nobody.test");
    await proxy.end(refused);

    await using tab = await Tab.open();
    const url = await metricsUrl(proxy, "/");
    await tab.show(360, 740, "dark");
    await tab.go(url);
    assert.equal(await tab.evaluate(SHOWN), true);
    const shown = await tab.evaluate(SERIES) as Record<string, number>;
    const scraped = await scrape(proxy);
    assert.ok(Object.keys(shown).length >= 10, JSON.stringify(shown));
    for (const [series, value] of Object.entries(shown)) assert.equal(value, scraped.value(series), series);
    assert.equal(shown[`mcproxy_l7_responses_total{hostname="www.test",code="200"}`], 3);
    assert.equal(await tab.evaluate("document.querySelectorAll('.plot canvas').length"), 5);
    assert.equal(await tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), true, "it fits a phone");
    assert.equal(
      await tab.evaluate("getComputedStyle(document.body).backgroundColor"),
      "rgb(15, 20, 27)",
      "it is dark",
    );
    assert.deepEqual(tab.complaints, []);
    for (const request of tab.requests.filter((each) => each !== "about:blank")) {
      assert.ok(request.startsWith(url) || request.startsWith("data:"), request);
    }
  },
});
