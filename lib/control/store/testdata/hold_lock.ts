/**
 * Takes the right to serve from the database that is its argument, says so, and holds it until its input ends.
 *
 * @module
 */

import { ServerLock } from "../lock.ts";

using _lock = ServerLock.take(Deno.args[0] ?? "");
console.log("taken");
await Deno.stdin.read(new Uint8Array(1));
