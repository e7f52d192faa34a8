/**
 * The country of an IP address, from a MaxMind DB file (MaxMind DB File Format Specification v2.0).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Reader, type Response } from "mmdb-lib";
import { formatIpAddress, type IpAddress, ipv4, isIpv4 } from "../wire/ip_address.ts";
import { isCountryCode } from "./country_codes.ts";

const METADATA_MARKER = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1");
const SEPARATOR = Buffer.alloc(16); // between the search tree and the data section
// As they stand in the data section: the control octet of a string of so many octets, and the string.
const COUNTRY_KEYS = ["\x48iso_code", "\x4ccountry_code"];
const CACHED_RECORDS = 4096;

/** A file is not a MaxMind DB file, is corrupt, or names no countries; the message says which. */
export class GeoIpError extends Error {
  override readonly name = "GeoIpError";
}

/**
 * A GeoIP database.
 *
 * It reads `country.iso_code`, the layout of MaxMind's and DB-IP's country and city databases, and the flat
 * `country_code` of iptoasn's. MaxMind's `registered_country`, the country whose registry gave the network out, says
 * nothing of where the client is and is not consulted.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ipv4 } from "../wire/ip_address.ts";
 * import { buildMmdb } from "./testdata/build_mmdb.ts";
 * const geoip = GeoIp.open(buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: "NL" } } }]));
 * assert.equal(geoip.country(ipv4(192, 0, 2, 1)), "NL");
 * assert.equal(geoip.country(ipv4(198, 51, 100, 1)), undefined);
 * ```
 */
export class GeoIp {
  readonly #reader: Reader<Response>;
  #faults = 0;

  private constructor(reader: Reader<Response>) {
    this.#reader = reader;
  }

  /**
   * Opens a database over the bytes of its file, which are neither copied nor may change; they may be shared memory.
   *
   * @throws {GeoIpError} The bytes are not those of a sound database of countries. Its metadata and the frame of its
   * sections are checked and 512 addresses looked up; corruption elsewhere shows in {@linkcode GeoIp.faults}.
   */
  static open(bytes: Uint8Array): GeoIp {
    const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const metadataStart = file.lastIndexOf(METADATA_MARKER);
    if (metadataStart < 0) throw new GeoIpError("not a MaxMind DB file, or cut short: it has no metadata");
    const reader = openReader(file);
    const { databaseType, searchTreeSize } = reader.metadata;
    checkFrame(reader, file, metadataStart);
    const dataSection = file.subarray(searchTreeSize + SEPARATOR.length, metadataStart);
    if (!COUNTRY_KEYS.some((key) => dataSection.includes(key, 0, "latin1"))) {
      throw new GeoIpError(
        `MaxMind DB file without countries: its records have no iso_code or country_code (it is a ${databaseType})`,
      );
    }
    const geoip = new GeoIp(reader);
    for (const ip of sampleAddresses()) {
      geoip.country(ip);
      if (geoip.faults > 0) throw corrupt(`no record can be read for ${formatIpAddress(ip)}`);
    }
    return geoip;
  }

  /** When its publisher made it. */
  get builtAt(): Date {
    return this.#reader.metadata.buildEpoch;
  }

  /** How many lookups met corrupt data and hence had no answer, since the database was opened. */
  get faults(): number {
    return this.#faults;
  }

  /**
   * The country of `ip`, a code that {@linkcode isCountryCode} knows.
   *
   * @returns `undefined` where the database does not know the country: it has no entry, or one without a country code
   * (iptoasn's `"None"`), or is of IPv4 only and the address of IPv6, or its entry is corrupt.
   */
  country(ip: IpAddress): string | undefined {
    if (this.#reader.metadata.ipVersion === 4 && !isIpv4(ip)) return undefined;
    let record: unknown;
    try {
      record = this.#reader.get(formatIpAddress(ip));
    } catch {
      this.#faults++;
      return undefined;
    }
    const code = member(member(record, "country"), "iso_code") ?? member(record, "country_code");
    return typeof code === "string" && isCountryCode(code) ? code : undefined;
  }
}

function openReader(file: Buffer): Reader<Response> {
  try {
    return new Reader<Response>(file, { cache: new RecordCache() });
  } catch (error) {
    throw corrupt(error instanceof Error ? error.message : String(error), error);
  }
}

/** Checks that the sections are where the metadata says, within the file and set apart from each other. */
function checkFrame({ metadata }: Reader<Response>, file: Buffer, metadataStart: number): void {
  const { binaryFormatMajorVersion, ipVersion, nodeCount, searchTreeSize } = metadata;
  if (binaryFormatMajorVersion !== 2) {
    throw new GeoIpError(`MaxMind DB file of format version ${binaryFormatMajorVersion}; only version 2 can be read`);
  }
  if (ipVersion !== 4 && ipVersion !== 6) throw corrupt(`its IP version is ${ipVersion}`);
  if (!Number.isSafeInteger(nodeCount) || nodeCount < 1) throw corrupt(`its search tree has ${nodeCount} nodes`);
  const dataStart = searchTreeSize + SEPARATOR.length;
  if (dataStart > metadataStart || !file.subarray(searchTreeSize, dataStart).equals(SEPARATOR)) {
    throw corrupt(`its search tree does not end after ${nodeCount} nodes`);
  }
}

/** An address of every IPv4 /8, and of as many equal parts of the IPv6 global unicast space, 2000::/3. */
function* sampleAddresses(): Iterable<IpAddress> {
  for (let i = 0; i < 256; i++) {
    yield ipv4(i, 0, 0, 1);
    const ipv6 = new Uint8Array(16);
    ipv6[0] = 0x20 | (i >> 3);
    ipv6[1] = (i & 7) << 5;
    yield ipv6;
  }
}

function member(value: unknown, key: string): unknown {
  return value instanceof Object && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

function corrupt(reason: string, cause?: unknown): GeoIpError {
  return new GeoIpError(`corrupt MaxMind DB file: ${reason}`, { cause });
}

/**
 * Decoded records by their place in the file. Millions of networks share a few hundred countries' records, which name
 * each country in eight languages: decoding one takes ten times as long as finding it.
 */
class RecordCache {
  readonly #records = new Map<string | number, unknown>();

  get(place: string | number): unknown {
    return this.#records.get(place);
  }

  set(place: string | number, record: unknown): void {
    if (this.#records.size === CACHED_RECORDS) this.#records.clear();
    this.#records.set(place, record);
  }
}
