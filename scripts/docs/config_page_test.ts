import assert from "node:assert/strict";
import { parse as parseToml } from "smol-toml";
import * as v from "valibot";
import { applyEnvironment, variableOf } from "../../lib/control/config_environment.ts";
import { TABLES } from "../../lib/control/config_schema.ts";
import { TEXTS } from "./config_keys.ts";
import { configPage } from "./config_page.ts";
import { formatted } from "./formatted.ts";

/** Every key there is: its table, its name, its schema. */
function* keys(): Generator<readonly [table: keyof typeof TABLES, key: string, schema: v.GenericSchema]> {
  for (const table of Object.keys(TABLES) as (keyof typeof TABLES)[]) {
    const entries: Readonly<Record<string, v.GenericSchema>> = TABLES[table];
    for (const [key, schema] of Object.entries(entries)) yield [table, key, schema];
  }
}

function takes(schema: v.GenericSchema, value: unknown): boolean {
  return v.safeParse(schema, value).success;
}

Deno.test("docs/CONFIG.md is what the schema says", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/CONFIG.md", import.meta.url));
  assert.equal(page, await formatted(configPage()), "docs/CONFIG.md is out of date; run: deno task docs");
  for (const [table, key] of keys()) assert.ok(page.includes(`\n### \`${table}.${key}\`\n`), `${table}.${key}`);
});

Deno.test("the example of each key is taken, and says more than its default", () => {
  for (const [table, key, schema] of keys()) {
    const texts: Readonly<Record<string, { readonly example: string }>> = TEXTS[table].keys;
    const value = parseToml(`${key} = ${texts[key]?.example}`)[key];
    const result = v.safeParse(schema, value);
    assert.ok(result.success, `${table}.${key} = ${texts[key]?.example}: ${result.issues?.[0].message}`);
    assert.notDeepEqual(result.output, v.safeParse(schema, undefined).output, `${table}.${key}`);
  }
});

Deno.test("the ranges that the page tells are those that are taken", () => {
  let ranges = 0;
  for (const [table, key, schema] of keys()) {
    const name = `${table}.${key}`;
    const description = v.getDescription("wrapped" in schema ? schema.wrapped as v.GenericSchema : schema);
    if (description === undefined) continue;
    ranges++;
    if (description === "a duration from 1 ms to 24 h") {
      assert.deepEqual(["0ms", "1ms", "24h", "24h1ms"].map((value) => takes(schema, value)), [
        false,
        true,
        true,
        false,
      ]);
      continue;
    }
    const [, min, max] = /^a whole number from (\d+) to (\d+)$/.exec(description)?.map(Number) ?? [];
    assert.ok(min !== undefined && max !== undefined, name);
    const values = [min - 1, min, (min + max) / 2 + 0.25, max, max + 1];
    assert.deepEqual(values.map((value) => takes(schema, value)), [false, true, false, true, false], name);
  }
  assert.equal(ranges, 10);
});

Deno.test("each variable that the page names overrides its key, and no other does", () => {
  const page = configPage();
  for (const [table, key] of keys()) {
    const name = `MCPROXY_${table}_${key}`.toUpperCase();
    const { variables } = applyEnvironment({}, { [name]: "1" });
    assert.equal(variables.get(`${table}.${key}`), variableOf(table, key), name);
    assert.equal(page.includes(`\`${name}\` overrides it`), variables.size === 1, name);
  }
});

Deno.test("config/example.toml has every key of every table", async () => {
  const text = await Deno.readTextFile(new URL("../../config/example.toml", import.meta.url));
  const document = parseToml(text.replaceAll(/^ {2}# ?(?= *(?:\[\[|[a-z0-9_]+ = ))/gm, "")); // commented out ones too
  for (const [table, key] of keys()) {
    const there = table.split(".").reduce<unknown[]>(
      (tables, name) => tables.flatMap((each) => (each as Record<string, unknown>)[name] ?? []),
      [document],
    );
    assert.ok(there.some((each) => Object.hasOwn(each as object, key)), `${table}.${key} is missing`);
  }
});
