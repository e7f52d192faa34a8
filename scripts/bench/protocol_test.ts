import assert from "node:assert/strict";
import { parseClientHello } from "../../lib/wire/client_hello.ts";
import { behaviourOf, clientHello, ECHO_HOST, FLOOD_HOST, HELLO_LENGTH, hostname, setHost } from "./protocol.ts";

Deno.test("the ClientHello of every host names it and is equally long", () => {
  for (const host of [0, 1, 9, 10, 99_999, 1_234_567, 9_999_999]) {
    const hello = clientHello(host);
    assert.equal(hello.length, HELLO_LENGTH);
    const parsed = parseClientHello(hello);
    assert.ok(parsed.kind === "hello");
    assert.equal(parsed.serverName, hostname(host));
  }
});

Deno.test("a ClientHello is changed to another host's in place", () => {
  const hello = clientHello(1_234_567);
  setHost(hello, 42);
  assert.deepEqual(hello, clientHello(42));
});

Deno.test("one host echoes, one floods, every other answers", () => {
  assert.deepEqual([ECHO_HOST, FLOOD_HOST, 2, 99_999].map(behaviourOf), ["echo", "flood", "answer", "answer"]);
});
