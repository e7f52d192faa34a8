/**
 * Address prefixes (CIDR blocks) and sets of them.
 *
 * @module
 */

import { formatIpAddress, type IpAddress, ipWord, isIpv4, parseIpAddress } from "../wire/ip_address.ts";
import { PrefixTable } from "./_prefix_table.ts";

const IPV4_OFFSET = 96; // bits before the IPv4 address in the IPv4-mapped form
const SLASH_LENGTH = /\/(0|[1-9][0-9]{0,2})$/;

/**
 * A prefix: every address that has the first `prefixLength` bits of `address`, whose other bits are zero.
 *
 * `prefixLength` is 0-128; for IPv4, whose addresses are held in the IPv4-mapped form, it counts from the start of that
 * form: 10.0.0.0/8 has 104.
 */
export interface Cidr {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/** What {@linkcode parseCidr} made of a text; `canonical` is that text with its host bits cleared. */
export type CidrParse =
  | { readonly kind: "ok"; readonly cidr: Cidr }
  | { readonly kind: "host_bits"; readonly canonical: string }
  | { readonly kind: "invalid" };

/**
 * Reads a prefix in CIDR notation: an address, `/` and a decimal length (RFC 4632 §3.1, RFC 4291 §2.3).
 *
 * A bare address is invalid, and so is a length with leading zeros. `::ffff:10.0.0.0/104` is 10.0.0.0/8.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseCidr("10.1.2.3/8"), { kind: "host_bits", canonical: "10.0.0.0/8" });
 * assert.deepEqual(parseCidr("::ffff:10.0.0.0/104"), parseCidr("10.0.0.0/8"));
 * assert.equal(parseCidr("10.0.0.0").kind, "invalid");
 * ```
 */
export function parseCidr(text: string): CidrParse {
  const suffix = SLASH_LENGTH.exec(text);
  if (suffix === null) return { kind: "invalid" };
  const addressText = text.slice(0, suffix.index);
  const address = parseIpAddress(addressText);
  const prefixLength = Number(suffix[1]) + (addressText.includes(":") ? 0 : IPV4_OFFSET);
  if (address === undefined || prefixLength > 128) return { kind: "invalid" };
  const masked = address.map((octet, i) => octet & (0xff00 >> Math.min(Math.max(prefixLength - 8 * i, 0), 8)));
  const cidr = { address: masked, prefixLength };
  const hasHostBits = masked.some((octet, i) => octet !== address[i]);
  return hasHostBits ? { kind: "host_bits", canonical: formatCidr(cidr) } : { kind: "ok", cidr };
}

/**
 * Writes a prefix in its canonical form.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ipv4 } from "../wire/ip_address.ts";
 * assert.equal(formatCidr({ address: ipv4(10, 0, 0, 0), prefixLength: 104 }), "10.0.0.0/8");
 * ```
 */
export function formatCidr({ address, prefixLength }: Cidr): string {
  return `${formatIpAddress(address)}/${isIpv4(address) ? prefixLength - IPV4_OFFSET : prefixLength}`;
}

/**
 * A set of prefixes that answers whether some prefix covers an address.
 *
 * IPv4 and IPv6 are kept apart: an IPv6 prefix covers IPv6 addresses only, `::/0` as well, although the IPv4-mapped
 * addresses lie within it, because nobody who writes `::/0` means the IPv4 internet. That is `0.0.0.0/0`.
 *
 * A lookup costs one hash probe for each distinct prefix length of the address's family, however many prefixes there
 * are, and allocates nothing. Adding and removing touch a few slots.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ipv4 } from "../wire/ip_address.ts";
 * const blocked = new CidrSet();
 * blocked.add({ address: ipv4(10, 0, 0, 0), prefixLength: 104 });
 * assert.equal(blocked.has(ipv4(10, 1, 2, 3)), true);
 * assert.equal(blocked.has(ipv4(11, 0, 0, 0)), false);
 * ```
 */
export class CidrSet {
  readonly #ipv4 = new PrefixTable(1);
  readonly #ipv6 = new PrefixTable(4);

  /** How many prefixes there are. */
  get size(): number {
    return this.#ipv4.size + this.#ipv6.size;
  }

  /** Adds a prefix, as {@linkcode parseCidr} gives it; false where the set has it already. */
  add({ address, prefixLength }: Cidr): boolean {
    if (isIpv4(address)) return this.#ipv4At(address).add(prefixLength - IPV4_OFFSET);
    return this.#ipv6At(address).add(prefixLength);
  }

  /** Removes a prefix; false where the set does not have that very prefix, whatever others cover its addresses. */
  delete({ address, prefixLength }: Cidr): boolean {
    if (isIpv4(address)) return this.#ipv4At(address).delete(prefixLength - IPV4_OFFSET);
    return this.#ipv6At(address).delete(prefixLength);
  }

  /** Whether some prefix covers `ip`. */
  has(ip: IpAddress): boolean {
    return isIpv4(ip) ? this.#ipv4At(ip).covers() : this.#ipv6At(ip).covers();
  }

  #ipv4At(ip: IpAddress): PrefixTable {
    this.#ipv4.address[0] = ipWord(ip, 12);
    return this.#ipv4;
  }

  #ipv6At(ip: IpAddress): PrefixTable {
    const { address } = this.#ipv6;
    address[0] = ipWord(ip, 0);
    address[1] = ipWord(ip, 4);
    address[2] = ipWord(ip, 8);
    address[3] = ipWord(ip, 12);
    return this.#ipv6;
  }
}
