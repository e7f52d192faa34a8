import assert from "node:assert/strict";
import { type ClientHelloMessageRule, parseClientHelloMessage } from "./_client_hello_message.ts";
import {
  alpnExtension,
  buildClientHello,
  type ClientHelloParts,
  concat,
  type Extension,
  serverNameExtension,
} from "./testdata/build_client_hello.ts";

const HEADERS = 5 + 4; // of the record and of the message

function parse(bytes: Uint8Array) {
  return parseClientHelloMessage(bytes, HEADERS, bytes.length);
}

function assertBroken(rule: ClientHelloMessageRule, cases: Record<string, ClientHelloParts>): void {
  for (const [what, parts] of Object.entries(cases)) assert.equal(parse(buildClientHello(parts)), rule, what);
}

function withExtension(type: number, ...octets: readonly number[]): ClientHelloParts {
  return { extensions: [{ type, data: Uint8Array.from(octets) }] };
}

function withServerNames(...names: readonly (readonly [type: number, name: string])[]): ClientHelloParts {
  return { extensions: [serverNameExtension(...names)] };
}

Deno.test("a server name that is not one host's DNS name breaks RFC 6066 §3", () => {
  assertBroken("server_name", {
    "no name": { serverName: "" },
    "an IPv4 address": { serverName: "192.0.2.1" },
    "an IPv6 address": { serverName: "2001:db8::1" },
    "an IPv6 address in brackets": { serverName: "[2001:db8::1]" },
    "a NUL": { serverName: "a.example\0.b.example" },
    "a space": { serverName: "a example" },
    "a wildcard": { serverName: "*.example" },
    "UTF-8": { serverName: "b\xc3\xbccher.example" },
    "a root label alone": { serverName: "." },
    "two trailing dots": { serverName: "a.example.." },
    "254 octets": { serverName: `${"a.".repeat(126)}aa` },
    "10000 octets": { serverName: "a".repeat(10000) },
    "two host names": withServerNames([0, "a.example"], [0, "b.example"]),
    "two equal host names": withServerNames([0, "a.example"], [7, "x"], [0, "a.example"]),
  });
});

Deno.test("a misshapen server_name extension breaks RFC 6066 §3", () => {
  assertBroken("server_name", {
    "nothing, as a server would send": withExtension(0),
    "one octet": withExtension(0, 0),
    "an empty list": withExtension(0, 0, 0),
    "a list longer than the extension": withExtension(0, 0, 5, 0, 0, 1, 0x61),
    "a list shorter than the extension": withExtension(0, 0, 4, 0, 0, 1, 0x61, 0),
    "a name longer than the list": withExtension(0, 0, 4, 0, 0, 2, 0x61),
    "a type without a name": withExtension(0, 0, 5, 0, 0, 1, 0x61, 0),
    "a name of unknown type longer than the list": withExtension(0, 0, 4, 9, 0, 2, 0x61),
  });
});

Deno.test("a misshapen ALPN extension breaks RFC 7301 §3.1", () => {
  assertBroken("alpn", {
    "nothing": withExtension(16),
    "an empty list": { alpn: [] },
    "an empty name": { alpn: ["h2", ""] },
    "a list longer than the extension": withExtension(16, 0, 4, 2, 0x68, 0x32),
    "a list shorter than the extension": withExtension(16, 0, 3, 2, 0x68, 0x32, 0),
    "a name longer than the list": withExtension(16, 0, 3, 3, 0x68, 0x32),
  });
});

Deno.test("no extension may come twice, of whatever type", () => {
  const empty = (type: number): Extension => ({ type, data: new Uint8Array() });
  assertBroken("duplicate_extension", {
    "of a known type": { extensions: [alpnExtension(["h2"]), empty(5), alpnExtension(["h2"])] },
    "of GREASE": { extensions: [empty(0xfafa), empty(5), empty(0xfafa)] },
    "of the last type": { extensions: [empty(0xffff), empty(0xffff)] },
  });
});

Deno.test("a thousand extensions of different types are no duplicates", () => {
  const extensions = Array.from({ length: 1000 }, (_, i) => ({ type: 17 + 65 * i, data: new Uint8Array() }));
  assert.deepEqual(parse(buildClientHello({ extensions })), { serverName: undefined, alpn: [] });
});

Deno.test("types seen in one hello are not held against the next", () => {
  const bytes = buildClientHello({ extensions: [{ type: 0xfafa, data: new Uint8Array() }] });
  assert.deepEqual(parse(bytes), parse(bytes));
  assert.deepEqual(parse(bytes), { serverName: undefined, alpn: [] });
});

Deno.test("the fields before the extensions keep to the bounds of RFC 8446 §4.1.2", () => {
  assertBroken("session_id", { "33 octets": { sessionId: new Uint8Array(33) } });
  assertBroken("cipher_suites", { "none": { cipherSuites: [] } });
  assertBroken("compression_methods", { "none": { compressionMethods: new Uint8Array() } });
  const oddSuites = buildClientHello({ sessionId: new Uint8Array(), cipherSuites: [0x1301, 0x1302] });
  oddSuites[HEADERS + 2 + 32 + 2] = 3;
  assert.equal(parse(oddSuites), "cipher_suites");
});

Deno.test("a message that ends early breaks the rule of the field it ends in", () => {
  const hello = buildClientHello({
    sessionId: new Uint8Array(4),
    cipherSuites: [0x1301],
    extensions: [{ type: 5, data: Uint8Array.of(1) }],
  });
  const fields = [
    ["hello_length", 2 + 32],
    ["session_id", 1 + 4],
    ["cipher_suites", 2 + 2],
    ["compression_methods", 1 + 1],
  ] as const;
  let end = HEADERS;
  for (const [rule, octets] of fields) {
    for (let i = 0; i < octets; i++) assert.equal(parseClientHelloMessage(hello, HEADERS, end++), rule, `${end}`);
  }
  assert.deepEqual(parseClientHelloMessage(hello, HEADERS, end), { serverName: undefined, alpn: [] });
  while (++end < hello.length) assert.equal(parseClientHelloMessage(hello, HEADERS, end), "extension_length");
});

Deno.test("extensions fill their block, and their block the message", () => {
  const hello = buildClientHello({ extensions: [{ type: 5, data: Uint8Array.of(1, 2, 3) }] });
  assert.equal(parse(concat(hello, Uint8Array.of(0))), "extension_length", "an octet behind the block");
  const inner = hello.slice();
  inner[hello.length - 4] = 4;
  assert.equal(parse(inner), "extension_length", "an extension longer than the block");
  inner[hello.length - 4] = 2;
  assert.equal(parse(inner), "extension_length", "an octet behind the last extension");
});
