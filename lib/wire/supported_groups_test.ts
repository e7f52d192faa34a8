import assert from "node:assert/strict";
import fc from "fast-check";
import { groupName, isPostQuantum, supportedGroups } from "./supported_groups.ts";
import { buildClientHello, serverNameExtension } from "./testdata/build_client_hello.ts";

const RECORD_HEADER = 5;

function groupsExtension(...groups: readonly number[]) {
  const octets = groups.flatMap((group) => [group >> 8, group & 0xff]);
  return { type: 10, data: Uint8Array.of(0, octets.length, ...octets) };
}

function messageWith(...extensions: NonNullable<Parameters<typeof buildClientHello>[0]>["extensions"][]): Uint8Array {
  return buildClientHello({ extensions: extensions.flatMap((each) => each ?? []) }).subarray(RECORD_HEADER);
}

Deno.test("the groups of a ClientHello are read in its order, wherever among the extensions they are", () => {
  const message = messageWith([serverNameExtension([0, "a.test"])], [groupsExtension(4588, 29, 23)], [
    { type: 51, data: Uint8Array.of(0, 0) },
  ]);
  assert.deepEqual(supportedGroups(message), [4588, 29, 23]);
  assert.deepEqual(supportedGroups(messageWith([serverNameExtension([0, "a.test"])])), []);
});

Deno.test("a ClientHello that is cut off anywhere, or is not one, has no groups", () => {
  const message = messageWith([groupsExtension(29)]);
  assert.deepEqual(supportedGroups(message), [29]);
  for (let length = 0; length < message.length; length++) {
    assert.deepEqual(supportedGroups(message.subarray(0, length)), [], `${length}`);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    for (const group of supportedGroups(bytes)) assert.ok(group >= 0 && group <= 0xffff);
  }));
});

Deno.test("groups have the names that tls_groups takes, and those with ML-KEM are post-quantum", () => {
  assert.deepEqual([23, 29, 4587, 4588, 0x0a0a].map(groupName), [
    "secp256r1",
    "X25519",
    "SecP256r1MLKEM768",
    "X25519MLKEM768",
    "0x0a0a",
  ]);
  assert.deepEqual(["secp256r1", "X25519", "X25519MLKEM768", "x25519mlkem768"].map(isPostQuantum), [
    false,
    false,
    true,
    true,
  ]);
});
