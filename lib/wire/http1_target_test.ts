import assert from "node:assert/strict";
import { authorityHost, parseTarget } from "./http1_target.ts";

Deno.test("each form of target names an authority and a path", () => {
  for (
    const [method, target, host, authority, hostName, path] of [
      ["GET", "/", "a.example", "a.example", "a.example", "/"],
      ["GET", "/b?c=//d@e:[f]", "A.Example:8443", "A.Example:8443", "a.example", "/b?c=//d@e:[f]"],
      ["GET", "//b.example/c", "a.example", "a.example", "a.example", "//b.example/c"],
      ["GET", "/", "[2001:DB8::1]:443", "[2001:DB8::1]:443", "2001:db8::1", "/"],
      // RFC 3986 §3.2.3: a port may be empty.
      ["GET", "/", "a.example:", "a.example:", "a.example", "/"],
      ["GET", "/", "[2001:DB8::1]:", "[2001:DB8::1]:", "2001:db8::1", "/"],
      ["GET", "https://B.example:/c", "a.example:", "B.example:", "b.example", "/c"],
      ["GET", "/", "192.0.2.1", "192.0.2.1", "192.0.2.1", "/"],
      ["GET", "http://b.example", "a.example", "b.example", "b.example", "/"],
      ["GET", "https://B.example:443/c?d", "a.example", "B.example:443", "b.example", "/c?d"],
      ["GET", "HTTPS://b.example?d", "b.example", "b.example", "b.example", "/?d"],
      ["GET", "http://[::1]:80/", "a.example", "[::1]:80", "::1", "/"],
      ["OPTIONS", "*", "a.example", "a.example", "a.example", "*"],
      ["OPTIONS", "/a", "a.example", "a.example", "a.example", "/a"],
      ["OPTIONS", "https://b.example", "a.example", "b.example", "b.example", "*"],
      ["OPTIONS", "https://b.example/", "a.example", "b.example", "b.example", "/"],
      ["OPTIONS", "https://b.example?c", "a.example", "b.example", "b.example", "/?c"],
      ["CONNECT", "b.example:443", "a.example", "b.example:443", "b.example", ""],
      ["CONNECT", "[::1]:443", "[::1]:443", "[::1]:443", "::1", ""],
    ] as const
  ) {
    const expected = { kind: "target", authority, host: hostName, path };
    assert.deepEqual(parseTarget(method, target, host), expected, `${method} ${target}`);
  }
});

Deno.test("without Host there is an authority only if the target has one", () => {
  assert.deepEqual(parseTarget("GET", "/", undefined), {
    kind: "target",
    authority: undefined,
    host: undefined,
    path: "/",
  });
  const target = parseTarget("GET", "http://b.example/", undefined);
  assert.ok(target.kind === "target");
  assert.equal(target.authority, "b.example");
});

Deno.test("a target of another form, or of one that the method may not have, is malformed", () => {
  for (
    const [method, target, rule] of [
      ["GET", "*", "target_form"],
      ["GET", "a", "target_form"],
      ["GET", "a.example", "target_form"],
      ["GET", "a.example:443", "target_form"],
      ["GET", "?a", "target_form"],
      ["GET", "\\a", "target_form"],
      ["GET", "http:/a", "target_form"],
      ["GET", "http:///a", "target_form"],
      ["GET", "http:a", "target_form"],
      ["GET", "ftp://a.example/", "target_form"],
      ["GET", "ws://a.example/", "target_form"],
      ["GET", "javascript:alert(1)", "target_form"],
      ["OPTIONS", "**", "target_form"],
      ["OPTIONS", "*?a", "target_form"],
      ["connect", "a.example:443", "target_form"],
      ["GET", "/a#b", "target_fragment"],
      ["GET", "#", "target_fragment"],
      ["GET", "https://a.example#b", "target_fragment"],
      ["GET", "https://user@a.example/", "target_authority"],
      ["GET", "https://user:pass@a.example/", "target_authority"],
      ["GET", "https://a.example:65536/", "target_authority"],
      ["GET", "https://a.example\\@b.example/", "target_authority"],
      ["GET", "https://a,b/", "target_authority"],
      ["CONNECT", "a.example", "target_authority"],
      ["CONNECT", "a.example:", "target_authority"],
      ["CONNECT", "[::1]", "target_authority"],
      ["CONNECT", "[::1]:", "target_authority"],
      ["CONNECT", "/", "target_authority"],
      ["CONNECT", "*", "target_authority"],
      ["CONNECT", "https://a.example:443", "target_authority"],
      ["CONNECT", "user@a.example:443", "target_authority"],
    ] as const
  ) {
    const error = { kind: "malformed", rule, status: 400 };
    assert.deepEqual(parseTarget(method, target, "a.example"), error, `${method} ${target}`);
  }
});

Deno.test("Host is a host with or without a port, also where the target goes before it", () => {
  for (
    const host of [
      "",
      " ",
      "a b",
      "a, b",
      "a,b",
      "user@a",
      "user:pass@a",
      "a@b:80",
      "a/",
      "a/b",
      "https://a",
      "a?b",
      "a#b",
      "a\\b",
      "a%2eb",
      ":",
      "a::",
      "::",
      "1::",
      "a,:",
      "a:b",
      "a:-1",
      "a:+1",
      "a:080",
      "a:65536",
      "a:80:80",
      ":80",
      "::1",
      "[::1",
      "::1]",
      "[::1]a",
      "[::1]80",
      "[a]",
      "[192.0.2.1]",
      "[fe80::1%eth0]",
      "192.0.2",
      "0x7f.1",
      "a..b",
      ".a",
      "-a",
      "*.a",
      "\xe4",
      "a\t",
      "a".repeat(64),
    ]
  ) {
    assert.equal(authorityHost(host), undefined, host);
    for (const target of ["/", "http://a.example/"]) {
      assert.deepEqual(parseTarget("GET", target, host), { kind: "malformed", rule: "host", status: 400 }, host);
    }
  }
});
