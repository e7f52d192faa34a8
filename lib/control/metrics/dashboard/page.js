// The status page in the browser: it reads stats.json every second, and changes nothing. docs/METRICS.md describes it.
"use strict";
(() => {
  const EVERY_MS = 1000;
  const POINTS = 300;
  const MAX_ROWS = 100;
  const SOON_DAYS = 14;
  const DAY_S = 86_400;
  /** Round numbers of bytes. */
  const POWERS_OF_2 = Array.from({ length: 60 }, (_, i) => 2 ** i);

  // ---- Figures -------------------------------------------------------------------------------------------------------

  const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);
  const total = (items, valueOf) => items.reduce((all, item) => all + valueOf(item), 0);

  /** As in a series of /metrics, whose value the element shows. */
  function series(name, labels) {
    const escape = (value) => value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `mcproxy_${name}{${Object.entries(labels).map(([key, value]) => `${key}="${escape(value)}"`).join()}}`;
  }

  /** The value that a share of what was observed does not exceed; null where nothing was. */
  function quantile(bounds, buckets, share) {
    const wanted = share * sum(buckets);
    if (wanted === 0) return null;
    let below = 0;
    for (let i = 0; i < bounds.length; i++) {
      if (buckets[i] > 0 && below + buckets[i] >= wanted) {
        const lower = i === 0 ? 0 : bounds[i - 1];
        return lower + (bounds[i] - lower) * (wanted - below) / buckets[i];
      }
      below += buckets[i];
    }
    return bounds[bounds.length - 1];
  }

  /** What was observed of all items together since the moment before. */
  function observed(before, now, key, name) {
    const known = new Map(before.map((item) => [item[name], item[key].buckets]));
    const all = [];
    for (const item of now) {
      // What comes out of the sum of the others has counts of which nobody knows how old they are.
      const then = known.get(item[name]) ?? (known.has("(other)") ? item[key].buckets : []);
      item[key].buckets.forEach((count, i) => all[i] = (all[i] ?? 0) + Math.max(0, count - (then[i] ?? 0)));
    }
    return all;
  }

  function ofClass(hostnames, digit) {
    return total(
      hostnames,
      ({ responses }) => total(Object.entries(responses), ([code, count]) => code.startsWith(digit) ? count : 0),
    );
  }

  /** One point of each line of each graph. */
  function pointOf(before, now) {
    const seconds = now.uptime_seconds - before.uptime_seconds;
    const rate = (valueOf) => Math.max(0, valueOf(now) - valueOf(before)) / seconds;
    const listeners = (valueOf) => rate((stats) => total(stats.listeners, valueOf));
    const dials = observed(before.backends, now.backends, "dials", "backend");
    const requests = observed(before.hostnames, now.hostnames, "requests", "hostname");
    return {
      connections: [listeners((each) => each.total_connections), listeners((each) => sum(each.rejected_connections))],
      active: [total(now.listeners, (each) => each.active_connections)],
      bytes: [listeners((each) => each.bytes_in), listeners((each) => each.bytes_out)],
      codes: ["2", "3", "4", "5"].map((digit) => rate(({ hostnames }) => ofClass(hostnames, digit))),
      latency: [
        quantile(now.request_bounds, requests, 0.5),
        quantile(now.request_bounds, requests, 0.99),
        quantile(now.dial_bounds, dials, 0.5),
        quantile(now.dial_bounds, dials, 0.99),
      ],
    };
  }

  // ---- Text ----------------------------------------------------------------------------------------------------------

  function number(value) {
    if (value >= 99.95 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
    return value.toFixed(value < 0.995 ? 2 : 1);
  }

  function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit === 0
      ? `${Math.round(value)} B`
      : `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${units[unit]}`;
  }

  function seconds(value) {
    const ms = value * 1000;
    if (ms === 0) return "0";
    if (ms < 9.95) return `${Number(ms.toFixed(ms < 0.995 ? 2 : 1))} ms`;
    return ms < 999.5 ? `${ms.toFixed(0)} ms` : `${Number(value.toFixed(1))} s`;
  }

  function duration(value) {
    const parts = [[Math.floor(value / DAY_S), "d"], [Math.floor(value / 3600) % 24, "h"], [
      Math.floor(value / 60) % 60,
      "min",
    ]];
    const first = parts.findIndex(([count]) => count > 0);
    if (first < 0) return `${Math.floor(value)} s`;
    return parts.slice(first, first + 2).filter(([count]) => count > 0).map((part) => part.join(" ")).join(" ");
  }

  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

  // ---- Elements ------------------------------------------------------------------------------------------------------

  function element(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made && key !== "role") made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  const byId = (id) => document.getElementById(id);

  // ---- Graphs --------------------------------------------------------------------------------------------------------

  const GRAPHS = {
    connections: { title: "Connections a second", lines: ["accepted", "rejected"], format: number },
    active: { title: "Active connections", lines: ["open"], format: number },
    bytes: { title: "Bytes a second", lines: ["in", "out"], format: bytes },
    codes: { title: "HTTP responses a second", lines: ["2xx", "3xx", "4xx", "5xx"], format: number },
    latency: { title: "Latency", lines: ["request p50", "request p99", "dial p50", "dial p99"], format: seconds },
  };
  const COLOURS = { codes: ["c", "a", "b", "d"] };
  const colourOf = (key, i) => (COLOURS[key] ?? ["a", "b", "c", "d"])[i];

  const graphs = Object.entries(GRAPHS).map(([key, { title, lines, format }]) => {
    const values = lines.map(() => element("b", {}, "–"));
    const legend = element(
      "ul",
      { className: "legend" },
      ...lines.map((line, i) =>
        element("li", {}, element("i", { className: `i-${colourOf(key, i)}` }), `${line} `, values[i])
      ),
    );
    const place = element("div", { className: "plot", role: "img", "aria-label": title });
    byId("graphs").append(
      element("section", { className: "card", "aria-label": title }, element("h2", {}, title), legend, place),
    );
    return { key, title, lines, format, values, place, data: [[], ...lines.map(() => [])], plot: undefined };
  });

  function clock(time) {
    const date = new Date(time * 1000);
    return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(
      ":",
    );
  }

  function drawPlots() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    for (const graph of graphs) {
      graph.plot?.destroy();
      const axis = {
        stroke: colour("faint"),
        font: "12px system-ui",
        grid: { stroke: colour("line"), width: 1 },
        ticks: { show: false },
      };
      graph.plot = new uPlot(
        {
          width: graph.place.clientWidth,
          height: graph.place.clientHeight,
          cursor: { show: false },
          legend: { show: false },
          padding: [8, 30, 0, 0], // to the right: half of the last time
          scales: {
            y: { range: (_plot, _least, most) => [0, Math.max(most * 1.1, graph.key === "latency" ? 0.001 : 1)] },
          },
          axes: [
            { ...axis, size: 24, space: 80, values: (_, times) => times.map(clock), grid: { show: false } },
            {
              ...axis,
              size: 66,
              space: 34,
              values: (_, ticks) => ticks.map(graph.format),
              ...graph.key === "bytes" && { incrs: POWERS_OF_2 },
            },
          ],
          series: [
            {},
            ...graph.lines.map((label, i) => ({
              label,
              stroke: colour(colourOf(graph.key, i)),
              width: 1.75,
              points: { show: graph.data[0].length < 2, size: 4 },
              spanGaps: graph.key === "latency",
            })),
          ],
        },
        graph.data,
        graph.place,
      );
    }
  }

  function addPoint(time, point) {
    for (const graph of graphs) {
      const row = [time, ...point[graph.key]];
      row.forEach((value, i) => {
        graph.data[i].push(value);
        if (graph.data[i].length > POINTS) graph.data[i].shift();
      });
      const texts = point[graph.key].map((value) => value === null ? "–" : graph.format(value));
      texts.forEach((text, i) => graph.values[i].textContent = text);
      graph.place.setAttribute(
        "aria-label",
        `${graph.title}: ${graph.lines.map((line, i) => `${line} ${texts[i]}`).join(", ")}`,
      );
      graph.plot?.setData(graph.data);
    }
  }

  // ---- Tables --------------------------------------------------------------------------------------------------------

  /** A cell that shows the value of a series of /metrics. */
  function shown(name, labels, value, format = number) {
    return element(
      "span",
      { "data-series": series(name, labels), "data-value": value, title: String(value) },
      format(value),
    );
  }

  function marked(className, cell) {
    if (className !== "") cell.className = className;
    return cell;
  }

  const TABLES = [
    {
      title: "Listeners",
      columns: ["Listener", "Active", "Limit", "Total", "Rejected", "In", "Out", "Routes"],
      rows: ({ listeners }) =>
        listeners.map((each) => {
          const listener = each.addr;
          const isFull = each.max_connections > 0 && each.active_connections >= each.max_connections;
          return [
            listener,
            marked(isFull ? "bad" : "", shown("connections_active", { listener }, each.active_connections)),
            each.max_connections === 0 ? "none" : shown("connections_limit", { listener }, each.max_connections),
            shown("connections_total", { listener }, each.total_connections),
            number(sum(each.rejected_connections)),
            shown("transfer_bytes_total", { listener, direction: "in" }, each.bytes_in, bytes),
            shown("transfer_bytes_total", { listener, direction: "out" }, each.bytes_out, bytes),
            shown("routes", { listener }, each.route_count),
          ];
        }),
    },
    {
      title: "Host names (L7)",
      columns: ["Host name", "Requests", "Responses by status", "Blocked by policies", "Mean time"],
      rows: ({ hostnames }) =>
        hostnames.map(({ hostname, requests, responses, policy_blocks: blocks }) => {
          const count = sum(requests.buckets);
          const codes = Object.entries(responses).map(([code, value]) => {
            const mark = code.startsWith("5") ? "bad" : code.startsWith("4") ? "warn" : "";
            return marked(mark, shown("l7_responses_total", { hostname, code }, value, (n) => `${code}: ${number(n)}`));
          });
          const blocked = Object.entries(blocks).map(([type, value]) =>
            shown("l7_policy_blocks_total", { hostname, type }, value, (n) => `${type}: ${number(n)}`)
          );
          return [
            hostname,
            shown("l7_request_duration_seconds_count", { hostname }, count),
            codes,
            blocked.length === 0 ? "none" : blocked,
            count === 0 ? "–" : seconds(requests.sum / count),
          ];
        }).sort((a, b) => Number(b[1].getAttribute("data-value")) - Number(a[1].getAttribute("data-value"))),
      none: "No request yet.",
    },
    {
      title: "Backends",
      columns: ["Backend", "Dials", "Failed", "Mean time"],
      rows: ({ backends }) =>
        backends.map(({ backend, dials, dial_errors: errors }) => {
          const count = sum(dials.buckets);
          return [
            backend,
            count === 0 ? "0" : shown("backend_dial_duration_seconds_count", { backend }, count),
            marked(errors > 0 ? "bad" : "", shown("backend_dial_errors_total", { backend }, errors)),
            count === 0 ? "–" : seconds(dials.sum / count),
          ];
        }).sort((a, b) =>
          Number(b[1].textContent?.replaceAll(",", "") ?? b[1]) - Number(a[1].textContent?.replaceAll(",", "") ?? a[1])
        ),
      none: "None was dialled yet.",
    },
    {
      title: "Certificates",
      columns: ["Host name", "Days left", "Ends"],
      rows: ({ certificates, time }) =>
        certificates.map(({ hostname, not_after: notAfter }) => {
          const ends = Date.parse(notAfter) / 1000;
          const days = Math.floor((ends - Date.parse(time) / 1000) / DAY_S);
          const text = days < 0 ? "expired" : String(days);
          return [
            hostname,
            marked(
              days < 0 ? "bad" : days < SOON_DAYS ? "warn" : "",
              shown("tls_certificate_expiry_timestamp_seconds", { hostname }, ends, () => text),
            ),
            notAfter.slice(0, 10),
            ends,
          ];
        }).sort((a, b) => a[3] - b[3]).map((row) => row.slice(0, 3)),
      none: "There is no L7 route.",
    },
    {
      title: "Rejections",
      columns: ["Reason", "Listener", "Connections"],
      rows: ({ listeners }) =>
        listeners.flatMap(({ addr: listener, rejected_connections: rejected }) =>
          Object.entries(rejected).map(([reason, count]) => [
            reason,
            listener,
            shown("connections_rejected_total", { listener, reason }, count),
          ])
        ),
      none: "None was rejected.",
    },
    {
      title: "Firewall",
      columns: ["Reason", "Connections blocked"],
      rows: (stats) =>
        Object.entries(stats.firewall_blocked).map(([reason, count]) => [
          reason,
          shown("firewall_blocked_total", { reason }, count),
        ]),
      none: "None was blocked.",
    },
  ];

  const tables = TABLES.map((table, i) => {
    const head = element("tr", {}, ...table.columns.map((column) => element("th", { scope: "col" }, column)));
    const body = element("tbody");
    const grid = element("table", { "aria-labelledby": `table-${i}` }, element("thead", {}, head), body);
    const scroll = element(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", "aria-labelledby": `table-${i}` },
      grid,
    );
    const note = element("p", { className: "more" });
    byId("tables").append(
      element("section", { className: "card" }, element("h2", { id: `table-${i}` }, table.title), scroll, note),
    );
    return { ...table, body, scroll, note };
  });

  function showTables(stats) {
    const filter = byId("filter").value.trim().toLowerCase();
    for (const { rows, none, body, scroll, note } of tables) {
      const all = rows(stats);
      const found = all.filter(([name]) => name.toLowerCase().includes(filter));
      body.replaceChildren(
        ...found.slice(0, MAX_ROWS).map(([name, ...cells]) =>
          element(
            "tr",
            {},
            element("th", { scope: "row", title: name }, name),
            ...cells.map((cell) => element("td", {}, ...[cell].flat())),
          )
        ),
      );
      scroll.hidden = found.length === 0;
      const hidden = found.length - MAX_ROWS;
      note.hidden = hidden <= 0 && found.length > 0;
      note.textContent = hidden > 0
        ? `and ${plural(hidden, "more row")}; type a part of a name above`
        : all.length > 0
        ? "No name has that."
        : none ?? "";
    }
  }

  // ---- Once a second -------------------------------------------------------------------------------------------------

  let last;
  let lastAt = 0;

  function show(stats) {
    const { version, engine, worker_threads: wanted, worker_threads_up: up, worker_restarts: restarts } = stats;
    const threads = up === wanted ? plural(wanted, "thread") : `${up} of ${wanted} threads`;
    byId("about").textContent = [
      version,
      `up ${duration(stats.uptime_seconds)}`,
      engine,
      threads,
      ...restarts > 0 ? [`${plural(restarts, "thread")} replaced`] : [],
    ].join(" · ");
    if (last !== undefined && last.started_at === stats.started_at && last.uptime_seconds < stats.uptime_seconds) {
      addPoint(Date.parse(stats.time) / 1000, pointOf(last, stats));
    }
    last = stats;
    lastAt = Date.now();
    showTables(stats);
    const state = byId("state");
    state.className = "";
    if (state.textContent !== "live") state.textContent = "live"; // read aloud where it changes
    document.body.setAttribute("data-time", stats.time);
  }

  function complain() {
    const state = byId("state");
    state.className = "stale";
    const text = "no answer from the proxy";
    if (state.textContent !== text) state.textContent = text;
    if (lastAt > 0) state.title = `since ${new Date(lastAt).toLocaleTimeString()}`;
  }

  async function look() {
    try {
      const answer = await fetch("stats.json", { cache: "no-store", signal: AbortSignal.timeout(10 * EVERY_MS) });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      show(await answer.json());
    } catch {
      complain();
    }
    setTimeout(lookIfSeen, EVERY_MS);
  }

  /** A page that nobody sees asks nothing. */
  function lookIfSeen() {
    if (document.visibilityState === "visible") look();
    else document.addEventListener("visibilitychange", lookIfSeen, { once: true });
  }

  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filter").addEventListener("input", () => last !== undefined && showTables(last));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPlots);
  new ResizeObserver(() => {
    for (const { plot, place } of graphs) plot?.setSize({ width: place.clientWidth, height: place.clientHeight });
  }).observe(byId("graphs"));
  drawPlots();
  look();
})();
