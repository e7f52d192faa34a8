import assert from "node:assert/strict";
import type { ProxyHeaderRule } from "./_proxy_header.ts";
import { formatEndpoint } from "./socket_address.ts";
import { parseProxyHeader } from "./proxy_protocol.ts";

const octets = (line: string) => Uint8Array.from(line, (character) => character.charCodeAt(0));

function assertHeader(line: string, source?: string, destination?: string): void {
  const result = parseProxyHeader(octets(line));
  assert(result.kind === "header", line);
  assert.equal(result.version, 1);
  assert.equal(result.length, line.length);
  assert.equal(result.source && formatEndpoint(result.source), source);
  assert.equal(result.destination && formatEndpoint(result.destination), destination);
  assert.deepEqual(result.tlvs, []);
}

/** Asserts that the last octet is the one that breaks the rule. */
function assertBroken(beginning: string, rule: ProxyHeaderRule): void {
  assert.deepEqual(parseProxyHeader(octets(beginning)), { kind: "malformed", rule }, beginning);
  assert.equal(parseProxyHeader(octets(beginning.slice(0, -1))).kind, "need_more", beginning);
}

Deno.test("reads TCP4 and TCP6 lines", () => {
  for (
    const [line, source, destination] of [
      ["PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324", "198.51.100.2:443"],
      ["PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", "0.0.0.0:0"],
      ["PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535"],
      ["PROXY TCP6 2001:DB8::1 2001:db8:0:0::2 56324 443\r\n", "[2001:db8::1]:56324", "[2001:db8::2]:443"],
      ["PROXY TCP6 :: :: 0 0\r\n", "[::]:0", "[::]:0"],
      ["PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1", "[::1]:2"],
    ] as const
  ) assertHeader(line, source, destination);
  const group = "ffff:".repeat(8).slice(0, -1);
  assertHeader(`PROXY TCP6 ${group} ${group} 65535 65535\r\n`, `[${group}]:65535`, `[${group}]:65535`);
});

Deno.test("an UNKNOWN line says nothing, whatever it goes on with", () => {
  for (const rest of ["", " ", " ffff::1 ffff::2 1 2", " \n \r \0 \xff", " ".repeat(107 - 15)]) {
    assertHeader(`PROXY UNKNOWN${rest}\r\n`);
  }
});

Deno.test("a line that is not spelt as demanded is malformed at its first wrong octet", () => {
  for (
    const [beginning, rule] of [
      ["G", "signature"],
      ["\x16", "signature"],
      ["PO", "signature"],
      ["PROXY\t", "signature"],
      ["PROXY  ", "protocol"],
      ["PROXY t", "protocol"],
      ["PROXY TCP5", "protocol"],
      ["PROXY TCP4\r", "protocol"],
      ["PROXY UNKNOWNS", "protocol"],
      ["PROXY UNKNOWN\r\r", "line_end"],
      ["PROXY TCP4  ", "address"],
      ["PROXY TCP4 :", "address"],
      ["PROXY TCP4 192.0.2.1\t", "address"],
      ["PROXY TCP4 192.0.2 ", "address"],
      ["PROXY TCP4 192.0.2.256 ", "address"],
      ["PROXY TCP4 192.0.2.01 ", "address"],
      ["PROXY TCP4 1921.681.001.001", "address"],
      ["PROXY TCP4 192.0.2.1 :", "address"],
      ["PROXY TCP6 192.0.2.1 ", "address"],
      ["PROXY TCP6 :: 1::2::3 ", "address"],
      ["PROXY TCP6 fe80::1%", "address"],
      [`PROXY TCP6 ${"0".repeat(46)}`, "address"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 a", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2  ", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 01 ", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 65536 ", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 123456", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 -", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 70000\r", "port"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r", "line_end"],
    ] as const
  ) assertBroken(beginning, rule);
});

Deno.test("a line that has not ended after 107 octets is too large", () => {
  assertBroken("PROXY UNKNOWN".padEnd(107), "too_large");
  assertBroken("PROXY UNKNOWN".padEnd(106) + "\r", "too_large");
});

Deno.test("need_more asks for what the shortest line would still take", () => {
  for (
    const [beginning, needed] of [
      ["", 15],
      ["P", 15],
      ["PROXY TCP4", 15],
      ["PROXY UNKNOWN", 15],
      ["PROXY UNKNOWN\r", 15],
      ["PROXY UNKNOWN ", 16],
      ["PROXY TCP4 ", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".length],
      ["PROXY TCP4 192.0.2", "PROXY TCP4 192.0.2 0.0.0.0 0 0\r\n".length],
      ["PROXY TCP4 192.0.2.1 198.51.100.2 5", "PROXY TCP4 192.0.2.1 198.51.100.2 5 0\r\n".length],
      ["PROXY TCP4 192.0.2.1 198.51.100.2 56324 ", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 0\r\n".length],
      ["PROXY TCP6 ", "PROXY TCP6 :: :: 0 0\r\n".length],
      ["PROXY TCP6 :: :: 0 0\r", "PROXY TCP6 :: :: 0 0\r\n".length],
    ] as const
  ) assert.deepEqual(parseProxyHeader(octets(beginning)), { kind: "need_more", needed }, beginning);
});
