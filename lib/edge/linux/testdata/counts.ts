/**
 * Has a worker count what it holds of OpenSSL's: when a client asks for `count.test`, it writes that into the file that
 * `COUNT_FILE` names, as JSON.
 *
 * @module
 */

import { RouteTable } from "../../../rules/route_table.ts";
import { loadLibssl } from "../libssl/library.ts";
import { counting } from "./counting_libssl.ts";

const libssl = loadLibssl();
const counted = counting(libssl);
Object.assign(libssl, { functions: counted.libssl.functions }); // it is loaded once in a thread

const { lookup } = RouteTable.prototype;
RouteTable.prototype.lookup = function (serverName) {
  if (serverName === "count.test") {
    Deno.writeTextFileSync(
      Deno.env.get("COUNT_FILE") ?? "",
      JSON.stringify({ held: counted.held, made: counted.made }),
    );
  }
  return Reflect.apply(lookup, this, [serverName]);
};
