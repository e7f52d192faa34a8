/**
 * The program, with workers that have the faults of `lib/edge/linux/testdata/faults.ts`.
 *
 * @module
 */

import { main } from "../../lib/cli/main.ts";

const FAULTY = new URL("../../lib/edge/linux/testdata/faulty_worker.ts", import.meta.url);

globalThis.Worker = class extends Worker {
  constructor(specifier: string | URL, options?: WorkerOptions) {
    super(String(specifier).endsWith("/lib/edge/linux/worker.ts") ? FAULTY : specifier, options);
  }
};

Deno.exit(await main(Deno.args));
