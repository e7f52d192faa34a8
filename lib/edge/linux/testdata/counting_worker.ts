/**
 * A worker that counts, as `counts.ts` has it; imported statically, as in `faulty_worker.ts`.
 *
 * @module
 */

import "./counts.ts";
import "../worker.ts";
