/**
 * Faults for a worker: it dies when a client asks for `fault.test`: not the connection but the loop itself throws. It
 * hangs when one asks for `hang.test`: as long as the folder that `HANG_FOLDER` names has no file `end`; it makes a file
 * `begin` there.
 *
 * @module
 */

import { RouteTable } from "../../../rules/route_table.ts";
import { Loop } from "../loop.ts";

let poisoned = false;

const { lookup } = RouteTable.prototype;
RouteTable.prototype.lookup = function (serverName) {
  poisoned ||= serverName === "fault.test";
  if (serverName === "hang.test") hang(Deno.env.get("HANG_FOLDER") ?? "");
  return Reflect.apply(lookup, this, [serverName]);
};

const { wait } = Loop.prototype;
Loop.prototype.wait = function (timeoutMs) {
  if (poisoned) throw new Error("injected fault");
  return Reflect.apply(wait, this, [timeoutMs]);
};

function hang(folder: string): void {
  Deno.writeTextFileSync(`${folder}/begin`, "");
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (!Array.from(Deno.readDirSync(folder)).some(({ name }) => name === "end")) Atomics.wait(cell, 0, 0, 5);
}
