/**
 * The rows of memory, of a proxy that is new each time: what was let go of before might be used again and not be seen
 * to grow.
 *
 * @module
 */

import type { Section } from "./report.ts";
import { type Bench, foundOf, proxiesOf, ratiosOf, section, SMALL, type Subject, takeRounds } from "./rounds.ts";
import type { LoadShape, ProxyShape } from "./stand.ts";
import { idleValues } from "./values.ts";

/** Connections that TLS is passed through of. */
export function runIdle(bench: Bench): Promise<Section[]> {
  const connections = bench.connections.idle;
  const title = `memory of ${connections.toLocaleString("en")} idle connections`;
  return runMemory(bench, title, { l4: SMALL, connections }, "idle");
}

/** Connections of HTTP/2 whose TLS ends at the proxy. */
export function runIdleTls(bench: Bench): Promise<Section[]> {
  const connections = bench.connections["idle-tls"];
  const title = `memory of ${connections.toLocaleString("en")} idle connections of h2 over TLS`;
  return runMemory(bench, title, { l7: { behaviour: "small" }, connections }, "idle-tls");
}

async function runMemory(
  bench: Bench,
  title: string,
  shape: ProxyShape & { readonly connections: number },
  kind: "idle" | "idle-tls",
): Promise<Section[]> {
  const { stand, quick } = bench;
  const load: LoadShape = { kind, connections: shape.connections, warmUpMs: quick ? 200 : 1_000, measureMs: 0 };
  const subjects = proxiesOf(bench).map((proxy): Subject => ({
    name: proxy.name,
    take: async () => {
      await using running = await stand.startProxy(proxy, shape);
      return foundOf(await stand.measure(running, load), idleValues);
    },
  }));
  return [section(title, subjects, ratiosOf(bench), await takeRounds(bench, title, subjects))];
}
