/**
 * Writes MaxMind DB files for tests (MaxMind DB File Format Specification v2.0).
 *
 * @module
 */

import { isIpv4 } from "../../wire/ip_address.ts";
import { parseCidr } from "../cidr_set.ts";

/** A network, in canonical CIDR notation, and what the file says about it. */
export interface MmdbEntry {
  readonly cidr: string;
  readonly record: Record<string, unknown>;
}

/** How the file is laid out; by default an IPv6 file, IPv4 in its ::/96, with 28-bit records. */
export interface MmdbOptions {
  readonly ipVersion?: 4 | 6;
  readonly recordSize?: 24 | 28 | 32;
  readonly databaseType?: string;
  /** Seconds since 1970. */
  readonly buildEpoch?: number;
}

const METADATA_MARKER = [0xab, 0xcd, 0xef, ...new TextEncoder().encode("MaxMind.com")];
const SEPARATOR = 16; // zero octets between the search tree and the data section

const STRING = 2;
const DOUBLE = 3;
const UINT16 = 5;
const UINT32 = 6;
const MAP = 7;
const UINT64 = 9;
const ARRAY = 11;
const BOOLEAN = 14;

/** A tree node's two children: a node's number, `EMPTY`, or -2 - n for the n-th record. */
type TreeNode = [number, number];
const EMPTY = -1;

/**
 * Makes a MaxMind DB file. Where networks nest, the longer prefix counts; where one is given twice, the later.
 *
 * Records may hold strings, numbers, booleans, arrays and maps of these. A number is written as an unsigned 32-bit
 * integer where it is one, else as a double.
 *
 * @throws {TypeError} A network is not canonical or not of the file's IP version, or a record holds another kind of value.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Buffer } from "node:buffer";
 * import { Reader } from "mmdb-lib";
 * const bytes = buildMmdb([{ cidr: "192.0.2.0/24", record: { country_code: "NL" } }]);
 * assert.deepEqual(new Reader(Buffer.from(bytes)).get("192.0.2.1"), { country_code: "NL" });
 * ```
 */
export function buildMmdb(entries: readonly MmdbEntry[], options: MmdbOptions = {}): Uint8Array<ArrayBuffer> {
  const { ipVersion = 6, recordSize = 28, databaseType = "Test-Country", buildEpoch = 1_700_000_000 } = options;
  const records = new Map<string, { readonly index: number; readonly offset: number }>();
  const data: number[] = [];
  const networks = entries.map(({ cidr, record }) => {
    const json = JSON.stringify(record);
    const stored = records.get(json) ?? { index: records.size, offset: data.length };
    if (!records.has(json)) { for (const octet of encode(record)) data.push(octet); }
    records.set(json, stored);
    return { ...treePathOf(cidr, ipVersion), leaf: -2 - stored.index };
  });
  const tree = buildTree(networks);
  const offsets = [...records.values()].map(({ offset }) => offset);
  const valueOf = (child: number) =>
    child >= 0 ? child : child === EMPTY ? tree.length : tree.length + SEPARATOR + (offsets[-2 - child] ?? 0);
  const metadata = map([
    ["binary_format_major_version", uint(UINT16, 2)],
    ["binary_format_minor_version", uint(UINT16, 0)],
    ["build_epoch", uint(UINT64, buildEpoch)],
    ["database_type", encode(databaseType)],
    ["description", encode({ en: "made for a test" })],
    ["ip_version", uint(UINT16, ipVersion)],
    ["languages", encode(["en"])],
    ["node_count", uint(UINT32, tree.length)],
    ["record_size", uint(UINT16, recordSize)],
  ]);
  const nodes = tree.flatMap(([left, right]) => node(valueOf(left), valueOf(right), recordSize));
  return Uint8Array.from([nodes, Array(SEPARATOR).fill(0), data, METADATA_MARKER, metadata].flat());
}

/** The bits that lead from the root to a network: `depth` of those of `address`. */
function treePathOf(cidr: string, ipVersion: 4 | 6): { address: Uint8Array; depth: number } {
  const parsed = parseCidr(cidr);
  if (parsed.kind !== "ok") throw new TypeError(`not a canonical network: ${cidr}`);
  const { address, prefixLength } = parsed.cidr;
  const isOfIpv4 = isIpv4(address);
  if (ipVersion === 4) {
    if (!isOfIpv4) throw new TypeError(`not an IPv4 network: ${cidr}`);
    return { address: address.slice(12), depth: prefixLength - 96 };
  }
  return { address: isOfIpv4 ? address.slice().fill(0, 10, 12) : address, depth: prefixLength };
}

function buildTree(networks: { address: Uint8Array; depth: number; leaf: number }[]): TreeNode[] {
  const tree: TreeNode[] = [[EMPTY, EMPTY]];
  for (const { address, depth, leaf } of networks.toSorted((a, b) => a.depth - b.depth)) {
    if (depth === 0) tree[0] = [leaf, leaf];
    let parent = tree[0] ?? [EMPTY, EMPTY];
    for (let i = 0; i < depth; i++) {
      const side = ((address[i >> 3] ?? 0) >> (7 - (i & 7))) & 1 ? 1 : 0;
      const child = parent[side];
      if (i === depth - 1) parent[side] = leaf;
      else if (child >= 0) parent = tree[child] ?? parent;
      else { // what held for the whole network goes on holding for both halves
        parent[side] = tree.length;
        parent = [child, child];
        tree.push(parent);
      }
    }
  }
  return tree;
}

function node(left: number, right: number, recordSize: 24 | 28 | 32): number[] {
  if (Math.max(left, right) >= 2 ** recordSize) throw new RangeError(`too much for ${recordSize}-bit records`);
  if (recordSize !== 28) return [...bigEndian(left, recordSize / 8), ...bigEndian(right, recordSize / 8)];
  const middle = ((left >>> 24) << 4) | (right >>> 24);
  return [...bigEndian(left, 3), middle, ...bigEndian(right, 3)];
}

function encode(value: unknown): number[] {
  if (typeof value === "string") {
    const utf8 = new TextEncoder().encode(value);
    return [...control(STRING, utf8.length), ...utf8];
  }
  if (typeof value === "boolean") return control(BOOLEAN, Number(value));
  if (typeof value === "number") {
    if (value === value >>> 0) return uint(UINT32, value);
    const octets = new Uint8Array(8);
    new DataView(octets.buffer).setFloat64(0, value);
    return [...control(DOUBLE, 8), ...octets];
  }
  if (Array.isArray(value)) return [...control(ARRAY, value.length), ...value.flatMap(encode)];
  if (typeof value === "object" && value !== null) {
    return map(Object.entries(value).map(([key, value]) => [key, encode(value)]));
  }
  throw new TypeError(`a MaxMind DB file does not hold ${String(value)}`);
}

function map(entries: [key: string, encoded: number[]][]): number[] {
  return [...control(MAP, entries.length), ...entries.flatMap(([key, encoded]) => [...encode(key), ...encoded])];
}

function uint(type: number, value: number): number[] {
  const octets = bigEndian(value, 8);
  const first = octets.findIndex((octet) => octet !== 0);
  const significant = first < 0 ? [] : octets.slice(first);
  return [...control(type, significant.length), ...significant];
}

/** The control octet of a value, the octet of an extended type, and those of a size that does not fit in. */
function control(type: number, size: number): number[] {
  const [bits, more] = size < 29
    ? [size, []]
    : size < 285
    ? [29, bigEndian(size - 29, 1)]
    : size < 65_821
    ? [30, bigEndian(size - 285, 2)]
    : [31, bigEndian(size - 65_821, 3)];
  return type <= MAP ? [(type << 5) | bits, ...more] : [bits, type - MAP, ...more];
}

function bigEndian(value: number, octets: number): number[] {
  return Array.from({ length: octets }, (_, i) => Math.floor(value / 256 ** (octets - 1 - i)) % 256);
}
