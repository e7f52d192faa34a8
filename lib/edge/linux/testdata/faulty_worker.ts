/**
 * A worker with the faults of `faults.ts`.
 *
 * Imported statically: a worker whose module waits for an import may be sent its setup before it listens for messages.
 *
 * @module
 */

import "./faults.ts";
import "../worker.ts";
