/**
 * ClientHellos made to order, sound or not, for tests.
 *
 * @module
 */

/** An extension; `data` is its content, without type and length. */
export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** The parts of a ClientHello; what is left out is what an ordinary TLS 1.2 hello has there. */
export interface ClientHelloParts {
  /** Of the record, which TLS 1.3 clients set to 0x0301. */
  readonly recordVersion?: number;
  readonly legacyVersion?: number;
  readonly sessionId?: Uint8Array;
  readonly cipherSuites?: readonly number[];
  readonly compressionMethods?: Uint8Array;
  /** Sent as it is, each character as one octet. */
  readonly serverName?: string | undefined;
  /** Each character as one octet. */
  readonly alpn?: readonly string[] | undefined;
  /** What comes behind server_name and ALPN; `null` for no extensions block at all, not even those two. */
  readonly extensions?: readonly Extension[] | null;
}

const MAX_FRAGMENT = 2 ** 14;
const RECORD_HEADER = 5;

/** One ClientHello message in one record, or in several full ones where it is too long for one. */
export function buildClientHello(parts: ClientHelloParts = {}): Uint8Array {
  const { recordVersion = 0x0301, sessionId = new Uint8Array(32), cipherSuites = [0x1301, 0x1302, 0xc02b] } = parts;
  const body = concat(
    uint(2, parts.legacyVersion ?? 0x0303),
    new Uint8Array(32).fill(0xaa), // random
    vector(1, sessionId),
    vector(2, ...cipherSuites.map((suite) => uint(2, suite))),
    vector(1, parts.compressionMethods ?? Uint8Array.of(0)),
    parts.extensions === null ? new Uint8Array() : vector(2, ...allExtensions(parts).map(encodeExtension)),
  );
  return intoRecords(concat(Uint8Array.of(1), vector(3, body)), [], recordVersion);
}

/** The same messages in other records: fragments of the given sizes, what is left over in as few as it takes. */
export function splitIntoRecords(hello: Uint8Array, sizes: readonly number[]): Uint8Array {
  const fragments: Uint8Array[] = [];
  for (let at = 0; at < hello.length;) {
    const end = at + RECORD_HEADER + uintAt(hello, at + 3);
    fragments.push(hello.subarray(at + RECORD_HEADER, end));
    at = end;
  }
  return intoRecords(concat(...fragments), sizes, uintAt(hello, 1));
}

/** A hello as Chrome 131 and later send it: GREASE all over (RFC 8701), a post-quantum key share, GREASE ECH; 1.8 KB. */
export function buildChromeClientHello(serverName: string): Uint8Array {
  const keyShares = [[0x2a2a, 1], [0x11ec, 1216], [0x001d, 32]] as const; // GREASE, X25519MLKEM768, X25519
  return buildClientHello({
    cipherSuites: [0x4a4a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0x009c],
    serverName,
    alpn: ["h2", "http/1.1"],
    extensions: [
      { type: 0xfafa, data: new Uint8Array() }, // GREASE
      { type: 0x0017, data: new Uint8Array() }, // extended_master_secret
      { type: 0x000a, data: vector(2, ...keyShares.map(([group]) => uint(2, group))) },
      { type: 0x0005, data: Uint8Array.of(1, 0, 0, 0, 0) }, // status_request
      { type: 0x000d, data: vector(2, uint(2, 0x0403), uint(2, 0x0804), uint(2, 0x0401)) }, // signature_algorithms
      { type: 0x0033, data: vector(2, ...keyShares.map(([group, size]) => encodeKeyShare(group, size))) },
      { type: 0x002b, data: vector(1, uint(2, 0xdada), uint(2, 0x0304), uint(2, 0x0303)) }, // supported_versions
      { type: 0x44cd, data: vector(2, vector(1, latin1Octets("h2"))) }, // application_settings
      {
        type: 0xfe0d,
        data: concat(Uint8Array.of(0, 0, 1, 0, 1, 7), vector(2, new Uint8Array(32)), vector(2, new Uint8Array(208))),
      },
      { type: 0x3a3a, data: Uint8Array.of(0) }, // GREASE
    ],
  });
}

/** A server_name extension (RFC 6066 §3) of names given as type and octets. */
export function serverNameExtension(...names: readonly (readonly [type: number, name: string])[]): Extension {
  return {
    type: 0,
    data: vector(2, ...names.map(([type, name]) => concat(uint(1, type), vector(2, latin1Octets(name))))),
  };
}

/** An ALPN extension (RFC 7301 §3.1). */
export function alpnExtension(names: readonly string[]): Extension {
  return { type: 16, data: vector(2, ...names.map((name) => vector(1, latin1Octets(name)))) };
}

/** A vector (RFC 8446 §3.4): its content behind a length of `lengthOctets` octets. */
export function vector(lengthOctets: number, ...content: readonly Uint8Array[]): Uint8Array {
  const joined = concat(...content);
  return concat(uint(lengthOctets, joined.length), joined);
}

function allExtensions(parts: ClientHelloParts): readonly Extension[] {
  return [
    ...(parts.serverName === undefined ? [] : [serverNameExtension([0, parts.serverName])]),
    ...(parts.alpn === undefined ? [] : [alpnExtension(parts.alpn)]),
    ...(parts.extensions ?? []),
  ];
}

function encodeExtension({ type, data }: Extension): Uint8Array {
  return concat(uint(2, type), vector(2, data));
}

function encodeKeyShare(group: number, size: number): Uint8Array {
  return concat(uint(2, group), vector(2, new Uint8Array(size).fill(0x5a)));
}

function intoRecords(message: Uint8Array, sizes: readonly number[], version: number): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < message.length;) {
    const fragment = message.subarray(at, at + (sizes[records.length] ?? MAX_FRAGMENT));
    records.push(concat(Uint8Array.of(22), uint(2, version), vector(2, fragment)));
    at += fragment.length;
  }
  return concat(...records);
}

function latin1Octets(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function uint(octets: number, value: number): Uint8Array {
  return Uint8Array.from({ length: octets }, (_, i) => value >>> (8 * (octets - 1 - i)));
}

function uintAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Joins byte strings. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
