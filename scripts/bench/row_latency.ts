/**
 * The row of latency: messages at fixed times through a proxy that ends TLS for others meanwhile, on the same worker.
 *
 * @module
 */

import type { Section } from "./report.ts";
import {
  type Bench,
  foundOf,
  loadOf,
  profile,
  proxiesOf,
  ratiosOf,
  section,
  SMALL,
  type Subject,
  takeRounds,
  warmUp,
} from "./rounds.ts";
import type { LoadShape, ProxyShape } from "./stand.ts";
import { latencyValues } from "./values.ts";

const SHAPE: ProxyShape = { l4: SMALL, l7: { behaviour: "small" } };

/** Runs the row. */
export async function runLatency(bench: Bench): Promise<Section[]> {
  const { stand, handshakes } = bench;
  const alone: LoadShape = { ...loadOf(bench, "paced", 64), warmUpMs: 1_000 };
  const busy: LoadShape = { ...alone, handshakesPerSecond: handshakes };
  await using started = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const proxy of proxiesOf(bench)) {
    const running = started.use(await stand.startProxy(proxy, SHAPE));
    subjects.push({
      name: proxy.name,
      take: async () => {
        const without = await stand.measure(running, alone);
        return foundOf(await stand.measure(running, busy), (measurement) => latencyValues(measurement, without));
      },
    });
  }
  const title = `echoes beside ${handshakes.toLocaleString("en")} TLS handshakes a second`;
  await warmUp(bench, title, subjects);
  const samples = await takeRounds(bench, title, subjects);
  await profile(bench, "latency", SHAPE, busy);
  return [section(title, subjects, ratiosOf(bench), samples)];
}
