import assert from "node:assert/strict";
import fc from "fast-check";
import { formatTable } from "./table.ts";

const COLUMNS = [
  { header: "LISTENER" },
  { header: "HOST" },
  { header: "COUNT", align: "right" },
  { header: "SETTINGS" },
] as const;

function screen(columns: number, hasColours = false) {
  return { hasColours, size: () => ({ columns, rows: 24 }) };
}

Deno.test("columns are aligned, numbers to the right, and no line ends in spaces", () => {
  assert.equal(
    formatTable(COLUMNS, [[":443", "git.example.net", "7", ""], ["10.8.0.2:8443", "*", "12345678", "one two"]]),
    [
      "LISTENER       HOST                COUNT  SETTINGS",
      ":443           git.example.net         7",
      "10.8.0.2:8443  *                12345678  one two",
      "",
    ].join("\n"),
  );
});

Deno.test("a long last cell goes on below itself where half of the screen is left to it, else it stands below its row", () => {
  const rows = [[":443", "git.example.net", "7", "one two three four five six"], [":444", "*", "8", "one"]];
  assert.equal(
    formatTable([COLUMNS[0], COLUMNS[3]], rows.map(([a = "", , , b = ""]) => [a, b]), screen(30)),
    [
      "LISTENER  SETTINGS",
      ":443      one two three four",
      "          five six",
      ":444      one",
      "",
    ].join("\n"),
  );
  assert.equal(
    formatTable(COLUMNS, rows, screen(46)),
    [
      "LISTENER  HOST             COUNT  SETTINGS",
      ":443      git.example.net      7",
      "    one two three four five six",
      ":444      *                    8  one",
      "",
    ].join("\n"),
  );
  assert.equal(
    formatTable(COLUMNS, rows).split("\n")[1],
    ":443      git.example.net      7  one two three four five six",
  );
});

Deno.test("behind a name that is too long the row goes on in the next line", () => {
  const rows = [[":443", "a.very.long.name.example.net", "7", "one two"], [":444", "*", "8", ""]];
  assert.equal(
    formatTable(COLUMNS, rows, screen(42)),
    [
      "LISTENER  HOST             COUNT  SETTINGS",
      ":443      a.very.long.name.example.net",
      "                               7  one two",
      ":444      *                    8",
      "",
    ].join("\n"),
  );
});

Deno.test("a cell that reaches over the edge starts further left", () => {
  const long = "x".repeat(36);
  assert.equal(
    formatTable(
      [{ header: "A" }, { header: "B" }, { header: "C" }],
      [["aaaaaaaaaa", long, "c"], ["a", "b", long]],
      screen(40),
    ),
    [
      `A           B${" ".repeat(26)}C`,
      "aaaaaaaaaa",
      `    ${long}`,
      `${" ".repeat(39)}c`,
      "a           b",
      `    ${long}`,
      "",
    ].join("\n"),
  );
});

Deno.test("a header is bold where there are colours, and is left out where it is empty", () => {
  const rows = [["a", "b"]];
  assert.equal(formatTable([{ header: "A" }, { header: "B" }], rows, screen(80, true)), "\x1b[1mA  B\x1b[22m\na  b\n");
  assert.equal(formatTable([{ header: "" }, { header: "" }], rows, screen(80, true)), "a  b\n");
});

Deno.test("no cell is cut or reordered, and no line is wider than the screen unless one word is", () => {
  const word = fc.stringMatching(/^[a-z.]{1,50}$/);
  const row = fc.tuple(
    word,
    word,
    fc.nat().map(String),
    fc.array(word, { maxLength: 4 }).map((words) => words.join(" ")),
  );
  fc.assert(fc.property(fc.array(row), fc.integer({ min: 50, max: 120 }), (rows, width) => {
    const lines = formatTable(COLUMNS, rows, screen(width)).split("\n");
    const words = lines.slice(1).join(" ").split(/\s+/).filter((word) => word !== "");
    assert.deepEqual(words, rows.flat().join(" ").split(/\s+/).filter((word) => word !== ""));
    for (const line of lines) assert.ok(line.length <= width, line);
  }));
});
