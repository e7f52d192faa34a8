/**
 * The program, with workers that count as `lib/edge/linux/testdata/counts.ts` says.
 *
 * @module
 */

import { main } from "../../lib/cli/main.ts";

const COUNTING = new URL("../../lib/edge/linux/testdata/counting_worker.ts", import.meta.url);

globalThis.Worker = class extends Worker {
  constructor(specifier: string | URL, options?: WorkerOptions) {
    super(String(specifier).endsWith("/lib/edge/linux/worker.ts") ? COUNTING : specifier, options);
  }
};

Deno.exit(await main(Deno.args));
