import assert from "node:assert/strict";
import {
  type ClientHelloRule,
  MAX_CLIENT_HELLO_BYTES,
  newClientHelloProgress,
  parseClientHello,
} from "./client_hello.ts";
import {
  buildChromeClientHello,
  buildClientHello,
  concat,
  serverNameExtension,
  splitIntoRecords,
} from "./testdata/build_client_hello.ts";
import clientHellos from "./testdata/client_hellos.json" with { type: "json" };

const text = new TextEncoder();

function assertHello(bytes: Uint8Array, serverName: string | undefined, alpn: readonly string[] = []): void {
  assert.deepEqual(parseClientHello(bytes), { kind: "hello", serverName, alpn, length: bytes.length });
}

function assertMalformed(bytes: Uint8Array, rule: ClientHelloRule, what: string = rule): void {
  assert.deepEqual(parseClientHello(bytes), { kind: "malformed", rule }, what);
}

for (const { name, hex, serverName, alpn } of clientHellos) {
  Deno.test(`reads the ClientHello of ${name}`, () => {
    const bytes = Uint8Array.fromHex(hex);
    const result = parseClientHello(bytes);
    assert(result.kind === "hello");
    assert.equal(result.serverName, serverName ?? undefined);
    assert.deepEqual(result.alpn, alpn);
    assert.equal(result.length, name.includes("early data") ? 348 : bytes.length);
  });
}

Deno.test("reads a ClientHello like Chrome's, GREASE and all", () => {
  const bytes = buildChromeClientHello("git.example.net");
  assert(bytes.length > 1700);
  assertHello(bytes, "git.example.net", ["h2", "http/1.1"]);
});

Deno.test("reads hellos of every record and protocol version", () => {
  for (const version of [0x0300, 0x0301, 0x0302, 0x0303, 0x0304]) {
    assertHello(
      buildClientHello({ recordVersion: version, legacyVersion: version, serverName: "a.example" }),
      "a.example",
    );
  }
});

Deno.test("a hello without extensions, or with none of ours, names no server and no protocol", () => {
  assertHello(buildClientHello({ extensions: null }), undefined);
  assertHello(buildClientHello({ extensions: [] }), undefined);
  assertHello(buildClientHello({ extensions: [{ type: 0xff01, data: Uint8Array.of(0) }] }), undefined);
});

Deno.test("the server name comes in lower case without its trailing dot", () => {
  assertHello(buildClientHello({ serverName: "Git.EXAMPLE.net." }), "git.example.net");
  const longest = `${"a.".repeat(126)}a`;
  assertHello(buildClientHello({ serverName: `${longest}.` }), longest);
});

Deno.test("names of unknown types in server_name are passed over", () => {
  assertHello(
    buildClientHello({ extensions: [serverNameExtension([7, "x"], [0, "a.example"], [8, ""])] }),
    "a.example",
  );
  assertHello(buildClientHello({ extensions: [serverNameExtension([7, "x"])] }), undefined);
});

Deno.test("octets of ALPN names outside ASCII are kept", () => {
  const alpn = ["\x8a\x8a", "\x00", "h2", "\xff".repeat(255)];
  assertHello(buildClientHello({ alpn }), undefined, alpn);
});

Deno.test("what is not TLS is told by its first wrong octet", () => {
  const sslv2 = Uint8Array.of(0x80, 0x2e, 1, 3, 1);
  const tls13Alert = Uint8Array.of(21, 3, 3, 0, 2, 2, 40);
  for (const bytes of [text.encode("GET / HTTP/1.1\r\n"), text.encode("SSH-2.0-"), sslv2, tls13Alert]) {
    assert.deepEqual(parseClientHello(bytes.subarray(0, 1)), { kind: "not_tls" });
    assert.deepEqual(parseClientHello(bytes), { kind: "not_tls" });
  }
  assert.deepEqual(parseClientHello(Uint8Array.of(22, 2)), { kind: "not_tls" });
});

Deno.test("records that RFC 8446 §5.1 forbids are malformed", () => {
  const hello = buildClientHello({ serverName: "a.example" });
  const alert = Uint8Array.of(21, 3, 3, 0, 2, 1, 0);
  const [first, second] = [splitIntoRecords(hello, [20]).subarray(0, 25), splitIntoRecords(hello, [20]).subarray(25)];
  assertMalformed(concat(first, alert, second), "record_type");
  assertMalformed(concat(first, Uint8Array.of(22, 4), second), "record_version");
  assertMalformed(Uint8Array.of(22, 3, 1, 0, 0), "record_length");
  assertMalformed(Uint8Array.of(22, 3, 1, 0x40, 0x01), "record_length");
  assertMalformed(splitIntoRecords(hello, [3, 0]), "record_length");
});

Deno.test("a first message that is not a ClientHello is malformed", () => {
  assertMalformed(Uint8Array.of(22, 3, 3, 0, 4, 2), "handshake_type");
});

Deno.test("what shares the last record of a hello is malformed", () => {
  const hello = buildClientHello();
  const withMore = concat(hello, Uint8Array.of(0));
  withMore.set([withMore.length - 5 >> 8, withMore.length - 5 & 0xff], 3);
  assertMalformed(withMore, "record_boundary");
  assertMalformed(withMore.subarray(0, 9), "record_boundary", "as soon as the length is known");
});

Deno.test("what follows in further records is left alone", () => {
  const hello = buildClientHello({ serverName: "a.example" });
  const result = parseClientHello(concat(hello, Uint8Array.of(23, 3, 3, 0, 0, 99)));
  assert.deepEqual(result, { kind: "hello", serverName: "a.example", alpn: [], length: hello.length });
});

/** The largest message that fits takes four records: 65536 - 4 * 5 octets, 4 of them its header. */
const MAX_BODY = MAX_CLIENT_HELLO_BYTES - 4 * 5 - 4;

function helloOfBody(octets: number): Uint8Array {
  const empty = buildClientHello({ extensions: [{ type: 21, data: new Uint8Array() }] });
  const padding = octets - (empty.length - 5 - 4);
  return buildClientHello({ extensions: [{ type: 21, data: new Uint8Array(padding) }] });
}

Deno.test("a hello may take 65536 octets and not one more", () => {
  const largest = helloOfBody(MAX_BODY);
  assert.equal(largest.length, MAX_CLIENT_HELLO_BYTES);
  assertHello(largest, undefined);
  assertMalformed(helloOfBody(MAX_BODY + 1), "too_large");
});

Deno.test("a hello that must become too large is refused when its length is seen", () => {
  assertMalformed(Uint8Array.of(22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff), "too_large");
  assertMalformed(helloOfBody(MAX_BODY + 1).subarray(0, 9), "too_large");
  const fragments = splitIntoRecords(helloOfBody(MAX_BODY), [1]); // a fifth record header
  assert.deepEqual(parseClientHello(fragments.subarray(0, 14)), { kind: "malformed", rule: "too_large" });
});

Deno.test("need_more names the octet with which it can tell more", () => {
  const hello = buildClientHello({ serverName: "a.example" });
  const needs = (bytes: Uint8Array, length: number) => {
    const result = parseClientHello(bytes.subarray(0, length));
    assert(result.kind === "need_more");
    return result.needed;
  };
  assert.deepEqual([0, 1, 2, 4, 5, 6, 8].map((length) => needs(hello, length)), [1, 2, 5, 5, 6, 9, 9]);
  assert.equal(needs(hello, 9), hello.length);
  assert.equal(needs(splitIntoRecords(hello, [50]), 9), 5 + 50 + 1, "the content type of the next record");
  assert.equal(needs(splitIntoRecords(hello, [4]), 6), 5 + 4, "a record that ends with the message header");
  assert.equal(needs(splitIntoRecords(hello, [2]), 6), 5 + 2 + 1, "where the message header goes on");
});

Deno.test("work is in proportion to the octets, however small segments and records are", () => {
  const alpn = Array.from({ length: 400 }, () => "x");
  const bytes = splitIntoRecords(buildClientHello({ alpn }), Array.from({ length: 2000 }, () => 1));
  const progress = newClientHelloProgress();
  let reads = 0;
  for (let length = 0; length < bytes.length; length++) {
    const received = new Proxy(bytes, {
      get(target, key) {
        if (key === "length") return length;
        reads++;
        return Reflect.get(target, key, target);
      },
    });
    assert.equal(parseClientHello(received, progress).kind, "need_more");
  }
  assert(bytes.length > 5000 && reads < 16 * bytes.length, `${reads} reads of ${bytes.length} octets`);
  assertHello(bytes, undefined, alpn);
});
