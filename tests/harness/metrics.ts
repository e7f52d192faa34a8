import assert from "node:assert/strict";
import type { Proxy } from "./proxy.ts";

/** What to configure for {@linkcode scrape}. */
export const METRICS = { addr: "127.0.0.1:0" };

/** Where a proxy answers scrapers. */
export async function metricsUrl(proxy: Proxy, path = "/metrics"): Promise<string> {
  return `http://${(await proxy.event("metrics_listening"))["addr"]}${path}`;
}

/** What a scrape told: values by their series as they are written, `name{label="value"}`. */
export class Scrape {
  readonly text: string;
  readonly #values: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.text = text;
    const samples = Array.from(text.matchAll(/^([^#\s]\S*(?: \S+)*) (\S+)$/gm), ([, series = "", value]) => {
      return [series, Number(value)] as const;
    });
    this.#values = new Map(samples);
    assert.equal(this.#values.size, samples.length, "no series is told twice");
  }

  /** The value of a series; `undefined` where there is none. */
  value(series: string): number | undefined {
    return this.#values.get(series);
  }

  /** The series of a metric, without its name, that are not 0. */
  of(name: string): Record<string, number> {
    const found = [...this.#values].filter(([series, value]) => series.split("{", 1)[0] === name && value !== 0);
    return Object.fromEntries(found.map(([series, value]) => [series.slice(name.length), value]));
  }

  /** The name of each series. */
  get names(): Set<string> {
    return new Set([...this.#values.keys()].map((series) => series.split("{", 1)[0] ?? ""));
  }
}

/** Scrapes a proxy. */
export async function scrape(proxy: Proxy): Promise<Scrape> {
  const response = await fetch(await metricsUrl(proxy));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return new Scrape(await response.text());
}
