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

Deno.test("a backend that is added is looked up; one whose addresses are known is not, until it is forgotten", async () => {
  using test = resolverOver({ "a.test": ["192.0.2.1"] }, []);
  const { resolver } = test;
  await resolver.start();
  await resolver.add("a.test:1");
  assert.deepEqual(known(resolver, "a.test:1"), ["192.0.2.1:1"]);
  await resolver.add("a.test:1");
  await resolver.add("192.0.2.7:1");
  assert.deepEqual(test.lookUps, ["a.test"]);
  assert.deepEqual(known(resolver, "192.0.2.7:1"), ["192.0.2.7:1"]);

  assert.equal(resolver.remove("a.test:1"), false, "it has another user");
  assert.deepEqual(known(resolver, "a.test:1"), ["192.0.2.1:1"]);
  assert.equal(resolver.remove("a.test:1"), true);
  assert.equal(resolver.remove("192.0.2.7:1"), true);
  assert.deepEqual([...resolver.addresses], []);
  resolver.dialFailed("a.test:1");
  await resolver.add("a.test:1");
  assert.deepEqual(test.lookUps, ["a.test", "a.test"]);
});

Deno.test("a backend that two routes name at the start has two users", async () => {
  using test = resolverOver({}, ["192.0.2.1:1", "192.0.2.1:1"]);
  await test.resolver.add("192.0.2.1:1");
  const forgotten = Array.from({ length: 4 }, () => test.resolver.remove("192.0.2.1:1"));
  assert.deepEqual(forgotten, [false, false, true, false], "what is not there is not forgotten again");
});

Deno.test("a backend without an address is looked up again when another route names it", async () => {
  const names: Record<string, readonly string[]> = {};
  using test = resolverOver(names, []);
  await test.resolver.add("a.test:1");
  assert.deepEqual(known(test.resolver, "a.test:1"), []);
  names["a.test"] = ["192.0.2.1"];
  await test.resolver.add("a.test:1");
  assert.deepEqual(known(test.resolver, "a.test:1"), ["192.0.2.1:1"]);
  assert.deepEqual(test.reported, ["a.test:1: no such host", "a.test:1 = 192.0.2.1:1"]);
});

Deno.test("of a backend that is removed while it is looked up nothing is heard any more, even if it comes back", async () => {
  const answers: PromiseWithResolvers<readonly string[]>[] = [];
  const reported: string[] = [];
  const resolver = new Resolver([], {
    resolved: (_, addresses) => void reported.push(addresses.map(formatEndpoint).join(" ")),
    failed: (backend) => void reported.push(`${backend} failed`),
  }, () => {
    const answer = Promise.withResolvers<readonly string[]>();
    answers.push(answer);
    return answer.promise;
  });
  const first = resolver.add("a.test:1");
  resolver.remove("a.test:1");
  const failing = resolver.add("a.test:1");
  resolver.remove("a.test:1");
  const third = resolver.add("a.test:1");
  const joining = resolver.add("a.test:1");
  assert.equal(answers.length, 3, "two who ask at once share one look-up");
  answers[0]?.resolve(["192.0.2.1"]);
  answers[1]?.reject(new Error("no such host"));
  await Promise.all([first, failing]);
  assert.deepEqual([reported, known(resolver, "a.test:1")], [[], []]);
  answers[2]?.resolve(["192.0.2.3"]);
  await Promise.all([third, joining]);
  assert.deepEqual(reported, ["192.0.2.3:1"]);
});
