/**
 * Host names as TLS clients name them.
 *
 * @module
 */

const MAX_LENGTH = 253; // RFC 1035 §2.3.4: 255 octets on the wire, less the first length octet and the root label

const LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
// WHATWG URL, "ends in a number": such a name is read as an IPv4 address by browsers and resolvers.
const NUMBER = "(?:[0-9]+|0x[0-9a-f]*)";
// Without the u flag, i folds no letter from outside ASCII (U+212A KELVIN SIGN, U+017F LONG S) onto one inside it.
const HOSTNAME = new RegExp(`^(?:${LABEL}\\.)*(?!${NUMBER}$)${LABEL}$`, "i");

/**
 * The one spelling of a DNS host name: lower case, without the dot that makes it absolute.
 *
 * A host name is 1 to 253 octets of labels joined by dots, each label 1 to 63 letters, digits and inner hyphens
 * (RFC 1123 §2.1; an internationalised label in its `xn--` form, RFC 5890 §2.3.2.1). Underscores are taken as letters:
 * real hosts are called so. A name whose last label is a number (`10.0.0.1`, `1`, `example.0x7f`) is an IPv4 address to
 * whoever resolves it and hence no host name.
 *
 * @returns The name, or `undefined` where `text` is not one.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(normalizeHostname("Git.Example.NET."), "git.example.net");
 * assert.equal(normalizeHostname("192.0.2.1"), undefined);
 * assert.equal(normalizeHostname("*.example.net"), undefined);
 * ```
 */
export function normalizeHostname(text: string): string | undefined {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name.length > MAX_LENGTH || !HOSTNAME.test(name)) return undefined;
  return name.toLowerCase();
}
