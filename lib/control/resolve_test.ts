import assert from "node:assert/strict";
import { formatEndpoint } from "../wire/socket_address.ts";
import { Resolver } from "./resolve.ts";

/** A resolver over names that the test changes, and what it reported. */
function resolverOver(names: Record<string, readonly string[]>, backends: readonly string[]) {
  const reported: string[] = [];
  const lookUps: string[] = [];
  const resolver = new Resolver(backends, {
    resolved: (backend, addresses) => {
      reported.push(`${backend} = ${addresses.map(formatEndpoint).join(" ")}`);
    },
    failed: (backend, error) => {
      reported.push(`${backend}: ${error instanceof Error ? error.message : error}`);
    },
  }, (host) => {
    lookUps.push(host);
    const addresses = names[host];
    return addresses ? Promise.resolve(addresses) : Promise.reject(new Error("no such host"));
  });
  return { resolver, reported, lookUps, [Symbol.dispose]: () => resolver.close() };
}

function known(resolver: Resolver, backend: string): string[] | undefined {
  return resolver.addresses.get(backend)?.map(formatEndpoint);
}

Deno.test("a backend that is an address is known from the start and never looked up", async () => {
  using test = resolverOver({}, ["192.0.2.1:443", "[2001:db8::1]:443"]);
  assert.deepEqual(known(test.resolver, "192.0.2.1:443"), ["192.0.2.1:443"]);
  assert.deepEqual(known(test.resolver, "[2001:db8::1]:443"), ["[2001:db8::1]:443"]);
  await test.resolver.start();
  test.resolver.dialFailed("192.0.2.1:443");
  assert.deepEqual(test.lookUps, []);
});

Deno.test("a host name is resolved at the start, once for all routes that name it, with every address", async () => {
  using test = resolverOver({ "a.test": ["192.0.2.1", "2001:db8::1"] }, ["a.test:443", "a.test:443"]);
  assert.deepEqual(known(test.resolver, "a.test:443"), []);
  await test.resolver.start();
  assert.deepEqual(test.reported, ["a.test:443 = 192.0.2.1:443 [2001:db8::1]:443"]);
  assert.deepEqual(test.lookUps, ["a.test"]);
});

Deno.test("a name that cannot be resolved is reported once, and others are not held up", async () => {
  using test = resolverOver({ "a.test": ["192.0.2.1"], "empty.test": [] }, ["b.test:1", "a.test:1", "empty.test:1"]);
  await test.resolver.start();
  assert.deepEqual(test.reported.toSorted(), [
    "a.test:1 = 192.0.2.1:1",
    "b.test:1: no such host",
    "empty.test:1: the name has no address",
  ]);
});

Deno.test("a failed dial does not look the name up again within a second", async () => {
  using test = resolverOver({ "a.test": ["192.0.2.1"] }, ["a.test:1"]);
  await test.resolver.start();
  test.resolver.dialFailed("a.test:1");
  test.resolver.dialFailed("b.test:1");
  assert.deepEqual(test.lookUps, ["a.test"]);
});
