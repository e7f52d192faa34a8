/**
 * By which names the endpoint may be asked, against DNS rebinding.
 *
 * A web site whose name resolves to an address of ours, for a moment, is the same origin as our endpoint for the browser
 * that shows it, and its script may read what we answer. The Host field still holds the site's name.
 *
 * @module
 */

import { authorityHost } from "../../wire/http1_target.ts";
import { parseIpAddress } from "../../wire/ip_address.ts";
import { parseListenAddress } from "../../wire/socket_address.ts";

/** See the module. */
export class HostCheck {
  readonly #names: ReadonlySet<string>;

  /**
   * @param addr Where the endpoint listens, as configured: where it names a host, that is one of its names.
   * @param names Further names, as `normalizeHostname` spells them.
   */
  constructor(addr: string, names: readonly string[]) {
    this.#names = new Set(["localhost", parseListenAddress(addr)?.host ?? "", ...names]);
  }

  /**
   * Whether a Host field is an IP address or one of the names, with any port: nobody can have a browser take their script
   * for that of an address, or of a name that is ours.
   */
  takes(host: string | undefined): boolean {
    const name = host === undefined ? undefined : authorityHost(host);
    return name !== undefined && (this.#names.has(name) || parseIpAddress(name) !== undefined);
  }
}
