/**
 * Faults for a worker: it dies when a client asks for `fault.test`: not the connection but the loop itself throws.
 *
 * @module
 */

import { RouteTable } from "../../../rules/route_table.ts";
import { Loop } from "../loop.ts";

let poisoned = false;

const { lookup } = RouteTable.prototype;
RouteTable.prototype.lookup = function (serverName) {
  poisoned ||= serverName === "fault.test";
  return Reflect.apply(lookup, this, [serverName]);
};

const { wait } = Loop.prototype;
Loop.prototype.wait = function (timeoutMs) {
  if (poisoned) throw new Error("injected fault");
  return Reflect.apply(wait, this, [timeoutMs]);
};
