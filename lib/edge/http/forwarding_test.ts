import assert from "node:assert/strict";
import { fieldValues } from "../../wire/http_fields.ts";
import { forwardedRequest, forwardedTrailers } from "./forwarding.ts";
import { requestHead } from "./testdata/client_peer.ts";

const CLIENT = { address: "192.0.2.7", requestId: "id-1" };

const OWN_FIELDS = [
  "x-forwarded-for",
  "192.0.2.7",
  "x-forwarded-proto",
  "https",
  "x-forwarded-host",
  "a.example",
  "x-real-ip",
  "192.0.2.7",
  "x-request-id",
  "id-1",
];

/** The fields of a request with `fields` as the backend gets them, without those that every request gets. */
function forwarded(fields: string[], client: { address: string; authority?: string } = CLIENT): string[] {
  const { authority = "a.example", address } = client;
  const all = forwardedRequest(requestHead({ fields, authority }), { ...CLIENT, address }).fields;
  return all.slice(0, all.length - OWN_FIELDS.length);
}

Deno.test("a request without any of our fields gets them", () => {
  const { fields } = forwardedRequest(requestHead({ fields: ["accept", "*/*"] }), CLIENT);
  assert.deepEqual(fields, ["accept", "*/*", ...OWN_FIELDS]);
});

Deno.test("X-Forwarded-For is appended to, and the rest of our fields are replaced", () => {
  const fields = OWN_FIELDS.map((text, i) => i % 2 === 0 ? text : "198.51.100.9");
  const { fields: sent } = forwardedRequest(requestHead({ fields }), CLIENT);
  assert.deepEqual(fieldValues(sent, "x-forwarded-for"), ["198.51.100.9, 192.0.2.7"]);
  assert.deepEqual(sent.slice(2), OWN_FIELDS.slice(2));
});

Deno.test("no name passes that a backend may take for one of ours, or for the framing", () => {
  const ours = OWN_FIELDS.filter((_, i) => i % 2 === 0);
  for (const name of [...ours, "content-length", "transfer-encoding", "proxy-authorization"]) {
    for (const separator of "_.!#$%&'*+^`|~") {
      const first = name.replace("-", separator);
      const all = name.replaceAll("-", separator);
      assert.deepEqual(forwarded([first, "1", "x-mine", "2", all, "3"]), ["x-mine", "2"], `${first}, ${all}`);
    }
  }
});

Deno.test("names that are only like ours pass", () => {
  const fields = ["x_mine", "x-forwarded-port", "x_forwarded_port", "forwarded-for", "xforwardedfor", "x-real-ipv6"];
  const list = fields.flatMap((name) => [name, "1"]);
  assert.deepEqual(forwarded(list), list);
});

Deno.test("Proxy, which scripts take for a setting of their own, is dropped (CVE-2016-5385)", () => {
  assert.deepEqual(forwarded(["proxy", "http://192.0.2.66:80", "x-mine", "1"]), ["x-mine", "1"]);
});

Deno.test("Forwarded gets an element of ours behind what came (RFC 7239)", () => {
  const element = "for=192.0.2.7;proto=https;host=a.example";
  const cases: [came: string[], sent: string][] = [
    [["for=198.51.100.1"], `for=198.51.100.1, ${element}`],
    [["for=198.51.100.1, for=_hidden;proto=http"], `for=198.51.100.1, for=_hidden;proto=http, ${element}`],
    [
      ["for=198.51.100.1", 'for="[2001:db8::1]:80"; by=unknown'],
      'for=198.51.100.1, for="[2001:db8::1]:80"; by=unknown, ' + element,
    ],
    [['for="a\\"b, c"'], `for="a\\"b, c", ${element}`],
    [[""], element],
  ];
  for (const [came, sent] of cases) {
    assert.deepEqual(forwarded(came.flatMap((value) => ["forwarded", value])), ["forwarded", sent]);
  }
});

Deno.test("a Forwarded that breaks RFC 7239 could swallow our element, so it is dropped", () => {
  const element = "for=192.0.2.7;proto=https;host=a.example";
  for (
    const broken of [
      'for="198.51.100.1',
      'for="a\\"',
      "for=",
      "for",
      "for=a b",
      "for=1;;=",
      'for=a"b"',
      '"for=1"',
      "for=[::1]",
    ]
  ) {
    assert.deepEqual(forwarded(["forwarded", "for=1", "forwarded", broken]), ["forwarded", element], broken);
  }
  assert.deepEqual(forwarded(["forwarded", `for=${'"a",'.repeat(10_000)}`]), ["forwarded", element]);
});

Deno.test("addresses of IPv6 and hosts with a port are quoted in Forwarded", () => {
  const sent = forwarded(["forwarded", ""], { address: "2001:db8::7", authority: "a.example:8443" });
  assert.deepEqual(sent, ["forwarded", 'for="[2001:db8::7]";proto=https;host="a.example:8443"']);
  assert.deepEqual(forwarded(["forwarded", ""], { address: "192.0.2.7", authority: "" }), [
    "forwarded",
    "for=192.0.2.7;proto=https",
  ]);
});

Deno.test("trailers carry none of our fields, and none that may not be there, however spelled", () => {
  const names = [
    "x-forwarded-for",
    "x_real_ip",
    "forwarded",
    "proxy",
    "x-request-id",
    "content_type",
    "set.cookie",
    "if_match",
  ];
  const fields = names.flatMap((name) => [name, "1"]);
  assert.deepEqual(forwardedTrailers([...fields, "x-checksum", "2", "grpc_status", "0"]), [
    "x-checksum",
    "2",
    "grpc_status",
    "0",
  ]);
  const clean = ["x-checksum", "2"];
  assert.equal(forwardedTrailers(clean), clean);
});
