import assert from "node:assert/strict";
import fc from "fast-check";
import { parseHostnamePattern, RouteTable } from "./route_table.ts";

function tableOf(...patterns: string[]): RouteTable<string> {
  const routes = new RouteTable<string>();
  for (const pattern of patterns) routes.set(pattern, pattern);
  return routes;
}

Deno.test("a pattern is a host name, a wildcard before a host name, or a lone star", () => {
  for (
    const [text, pattern] of [
      ["*", "*"],
      ["Git.Example.NET.", "git.example.net"],
      ["*.Example.COM.", "*.example.com"],
      ["*.com", "*.com"],
      ["localhost", "localhost"],
      ["*." + "a".repeat(63), "*." + "a".repeat(63)],
    ] as const
  ) assert.equal(parseHostnamePattern(text), pattern, text);
});

Deno.test("what is no pattern is refused", () => {
  for (
    const text of [
      "",
      ".",
      "*.",
      "*..",
      "**",
      "*.*",
      "*.*.com",
      "*example.com",
      "a.*.com",
      "a*.com",
      "*..example.com",
      ".example.com",
      "a..b",
      "192.0.2.1",
      "*.192.0.2.1",
      "*. example.com",
      " *",
    ]
  ) assert.equal(parseHostnamePattern(text), undefined, text);
});

Deno.test("a wildcard that no host name is long enough for is refused", () => {
  const suffix = `${"a.".repeat(125)}a`; // 251 octets
  assert.equal(parseHostnamePattern(`*.${suffix}`), `*.${suffix}`);
  assert.equal(parseHostnamePattern(`*.a${suffix}`), undefined);
  assert.equal(parseHostnamePattern(`a${suffix}`), `a${suffix}`);
});

Deno.test("the exact name goes before the longest wildcard, and that before the star", () => {
  const routes = tableOf("*", "*.com", "*.example.com", "www.example.com");
  assert.equal(routes.lookup("www.example.com"), "www.example.com");
  assert.equal(routes.lookup("a.example.com"), "*.example.com");
  assert.equal(routes.lookup("x.www.example.com"), "*.example.com");
  assert.equal(routes.lookup("example.com"), "*.com");
  assert.equal(routes.lookup("com"), "*");
  assert.equal(routes.lookup("notexample.com"), "*.com");
});

Deno.test("a wildcard does not fit its own suffix, nor a name that only ends in the same letters", () => {
  const routes = tableOf("*.example.com");
  assert.equal(routes.lookup("example.com"), undefined);
  assert.equal(routes.lookup("badexample.com"), undefined);
  assert.equal(routes.lookup("com"), undefined);
});

Deno.test("a client without SNI gets the star route only", () => {
  assert.equal(tableOf("*.com", "a.com").lookup(undefined), undefined);
  assert.equal(tableOf("*.com", "a.com", "*").lookup(undefined), "*");
});

Deno.test("a wildcard of the deepest possible suffix is found", () => {
  const suffix = `${"a.".repeat(125)}a`;
  assert.equal(tableOf(`*.${suffix}`).lookup(`b.${suffix}`), `*.${suffix}`);
});

Deno.test("get, delete and size speak of the pattern itself", () => {
  const routes = tableOf("*", "*.a.com", "b.a.com");
  assert.equal(routes.size, 3);
  assert.equal(routes.get("*.a.com"), "*.a.com");
  assert.equal(routes.get("c.a.com"), undefined);
  assert.equal(routes.delete("a.com"), false);
  assert.equal(routes.delete("*.a.com"), true);
  assert.equal(routes.delete("*.a.com"), false);
  assert.equal(routes.size, 2);
  assert.equal(routes.lookup("c.a.com"), "*");
});

function modelLookup(model: ReadonlyMap<string, number>, serverName: string | undefined): number | undefined {
  const fits = (pattern: string) =>
    pattern === "*" || pattern === serverName || (pattern.startsWith("*.") && serverName?.endsWith(pattern.slice(1)));
  const rank = (pattern: string) => pattern === serverName ? Infinity : pattern.length;
  const best = [...model.keys()].filter(fits).sort((a, b) => rank(b) - rank(a))[0];
  return best === undefined ? undefined : model.get(best);
}

Deno.test("agrees with a list of patterns searched one by one, through any sets and deletes", () => {
  const name = fc.array(fc.constantFrom("a", "b", "ab"), { minLength: 1, maxLength: 4 }).map((labels) =>
    labels.join(".")
  );
  const pattern = fc.oneof({ weight: 5, arbitrary: name }, {
    weight: 5,
    arbitrary: name.map((suffix) => `*.${suffix}`),
  }, { weight: 1, arbitrary: fc.constant("*") });
  const step = fc.record({ kind: fc.constantFrom("set", "delete"), pattern, value: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.array(fc.option(name, { nil: undefined })), (steps, names) => {
      const routes = new RouteTable<number>();
      const model = new Map<string, number>();
      for (const { kind, pattern, value } of steps) {
        if (kind === "delete") assert.equal(routes.delete(pattern), model.delete(pattern));
        else {
          routes.set(pattern, value);
          model.set(pattern, value);
        }
        assert.equal(routes.size, model.size);
        assert.equal(routes.get(pattern), model.get(pattern));
      }
      for (const name of names) assert.equal(routes.lookup(name), modelLookup(model, name));
    }),
    { numRuns: 500 },
  );
});
