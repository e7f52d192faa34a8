/**
 * The row of scale, of mc-proxy alone: few and many routes and firewall rules, and how long it takes to start.
 *
 * @module
 */

import type { Proxy } from "./proxies.ts";
import type { Section } from "./report.ts";
import { type Bench, loaded, loadOf, section, SMALL, type Subject, takeRounds, warmUp } from "./rounds.ts";
import type { RunningProxy } from "./stand.ts";
import { newValues } from "./values.ts";

const MANY = 100_000;
const MANY_TEXT = MANY.toLocaleString("en");
const ROUTES_AT_START = 10_000;

/** Runs the row, of each variant by itself. */
export async function runScale(bench: Bench): Promise<Section[]> {
  const sections: Section[] = [];
  for (const proxy of bench.ours) sections.push(await runSizes(bench, proxy), await runStart(bench, proxy));
  return sections;
}

async function runSizes(bench: Bench, proxy: Proxy): Promise<Section> {
  const { stand } = bench;
  await using started = new AsyncDisposableStack();
  const few = "10 of each";
  const routes = `${MANY_TEXT} routes`;
  const rules = `${MANY_TEXT} rules`;
  const sizes = { [few]: SMALL, [routes]: { ...SMALL, hosts: MANY }, [rules]: { ...SMALL, prefixes: MANY } };
  const subjects: Subject[] = [];
  for (const [name, l4] of Object.entries(sizes)) {
    const running = started.use(await stand.startProxy(proxy, { l4 }));
    subjects.push(loaded(name, stand, running, loadOf(bench, "new", 64), newValues));
  }
  const title = `new connections, ${proxy.name}`;
  await warmUp(bench, title, subjects);
  return section(title, subjects, [[routes, few], [rules, few]], await takeRounds(bench, title, subjects));
}

async function runStart(bench: Bench, proxy: Proxy): Promise<Section> {
  const { stand } = bench;
  const time = async (start: () => Promise<RunningProxy>) => {
    const before = performance.now();
    await using _running = await start();
    return performance.now() - before;
  };
  const subject: Subject = {
    name: proxy.name,
    take: async () => {
      const { start } = await stand.prepareProxy(proxy, { l4: { ...SMALL, hosts: ROUTES_AT_START } });
      const values = {
        "first start, database filled, ms": await time(start),
        "later start, ms": await time(start),
      };
      return { values };
    },
  };
  const title = `start to first byte, ${ROUTES_AT_START.toLocaleString("en")} routes`;
  return section(title, [subject], [], await takeRounds(bench, title, [subject]));
}
