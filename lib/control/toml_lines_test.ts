import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "smol-toml";
import { keyText, tomlLines } from "./toml_lines.ts";

/** The path of each value of a document, as problems name them. */
function pathsOf(value: unknown, path = ""): string[] {
  const own = path === "" ? [] : [path];
  if (Array.isArray(value)) return [...own, ...value.flatMap((each, i) => pathsOf(each, `${path}[${i}]`))];
  if (typeof value !== "object" || value === null || value instanceof Date) return own;
  const below = Object.entries(value).flatMap(([key, each]) =>
    pathsOf(each, path === "" ? keyText(key) : `${path}.${keyText(key)}`)
  );
  return [...own, ...below];
}

Deno.test("each value is told on its line, however it is written", () => {
  const text = String.raw`
# a comment [with = brackets]
title = "a # no comment \" = ["
point.x = 1
point . "y z" = 2 # [point]
list = [ # first
  "a]", 'b"',
  # [no]
  [1, 2], { c = 1, d.e = [
    3 ] },
]
long = """
[not.a.table]
x = \"""1"""
literal = '''
x = 'y'
'''''
[table . 'quoted key']
x = 1979-05-27T07:32:00Z
[[array]]
a = 1
[array.sub]
b = 2
[[array.inner]]
c = 3
[[array.inner]]
[[array]]
a = {}
`;
  const expected: Readonly<Record<string, number>> = {
    title: 3,
    point: 4,
    "point.x": 4,
    'point."y z"': 5,
    list: 6,
    "list[0]": 7,
    "list[1]": 7,
    "list[2]": 9,
    "list[2][0]": 9,
    "list[2][1]": 9,
    "list[3]": 9,
    "list[3].c": 9,
    "list[3].d": 9,
    "list[3].d.e": 9,
    "list[3].d.e[0]": 10,
    long: 12,
    literal: 15,
    table: 18,
    'table."quoted key"': 18,
    'table."quoted key".x': 19,
    array: 20,
    "array[0]": 20,
    "array[0].a": 21,
    "array[0].sub": 22,
    "array[0].sub.b": 23,
    "array[0].inner": 24,
    "array[0].inner[0]": 24,
    "array[0].inner[0].c": 25,
    "array[0].inner[1]": 26,
    "array[1]": 27,
    "array[1].a": 28,
  };
  assert.deepEqual(Object.fromEntries(tomlLines(text)), expected);
  assert.deepEqual(pathsOf(parse(text)).sort(), Object.keys(expected).sort());
  assert.deepEqual(tomlLines(text.replaceAll("\n", "\r\n")), tomlLines(text));
});

Deno.test("an empty document has no lines", () => {
  for (const text of ["", "\n", "# only this", "\ufeff"]) assert.deepEqual(tomlLines(text), new Map());
});

const STRINGS = ['"a"', "'b'", '"""\n"c""""', "'''\n]'''", '"\\"]#"', '""', "''", '""""""'];
const value = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("1", "-0.5e3", "true", "inf", "1979-05-27", ...STRINGS),
    fc.array(tie("value"), { maxLength: 3 }).map((each) => `[\n${each.join(" , # ]\n")} ]`),
    fc.array(tie("value"), { maxLength: 3 }).map((each) => `{ ${each.map((v, i) => `k${i} . x = ${v}`).join(", ")} }`),
  ),
})).value;
const lineEnd = fc.constantFrom("\n", "\n\n", " # [x]\n", "\r\n");
const table = fc.tuple(fc.constantFrom("[[a]]", "[[a.b]]", "[[ a . 'c d' ]]"), fc.array(value, { maxLength: 3 }));

Deno.test("whatever a document is, every value of it has a line, and no other path has", () => {
  fc.assert(fc.property(fc.array(fc.tuple(table, lineEnd), { maxLength: 8 }), (tables) => {
    const text = [
      "[[a]]\n",
      ...tables.map(([[header, values], end]) => {
        return header + end + values.map((each, i) => `"v ${i}"=${each}${end}`).join("");
      }),
    ].join("");
    const lines = tomlLines(text);
    assert.deepEqual([...lines.keys()].sort(), pathsOf(parse(text)).sort());
    const last = text.split("\n").length;
    for (const line of lines.values()) assert.ok(line >= 1 && line <= last);
  }));
});
