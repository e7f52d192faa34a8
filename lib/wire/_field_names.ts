/**
 * The names of fields that most messages have, each as one string.
 *
 * A name that is cut out of a head is a new string: to look it up in a map, its hash is computed and its characters are
 * compared, a dozen times on its way. One that is known from here has been hashed once and for all, and equals itself.
 *
 * @module
 */

const NAMES =
  "accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization cache-control cdn-loop connection content-disposition content-encoding content-language content-length content-location content-range content-security-policy content-type cookie cross-origin-opener-policy date dnt etag expect expires forwarded from grpc-accept-encoding grpc-encoding grpc-message grpc-status grpc-timeout host if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive last-modified link location origin permissions-policy pragma priority proxy-authenticate proxy-authorization proxy-connection range referer referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version server server-timing set-cookie strict-transport-security te trailer transfer-encoding upgrade upgrade-insecure-requests user-agent vary via www-authenticate x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-proto x-frame-options x-powered-by x-real-ip x-request-id x-requested-with"
    .split(" ");

interface KnownName {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const SLOTS = 1024;

const known: (KnownName | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

for (const name of NAMES) {
  const bytes = Uint8Array.from(name, (character) => character.charCodeAt(0));
  const hash = bytes.reduce(hashStep, 0);
  known[hash & (SLOTS - 1)] ??= { name, bytes }; // of two in one place, the second is not known: that is slower, no more
}

/** Goes on with the hash of a name, in either case of its letters, from 0. */
export function hashStep(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + (byte | 0x20)) | 0;
}

/**
 * The name in lower case, where it is one of those that most messages have.
 *
 * @param bytes `bytes[start .. end]` is a token (RFC 9110 §5.6.2).
 * @param hash What {@linkcode hashStep} makes of it.
 */
export function knownName(bytes: Uint8Array, start: number, end: number, hash: number): string | undefined {
  const entry = known[hash & (SLOTS - 1)];
  if (entry === undefined || entry.bytes.length !== end - start) return undefined;
  // All of the names are of small letters, digits and "-", and no other octet of a token becomes one of these with this bit.
  for (let i = 0; i < entry.bytes.length; i++) {
    if (((bytes[start + i] ?? 0) | 0x20) !== entry.bytes[i]) return undefined;
  }
  return entry.name;
}
