import assert from "node:assert/strict";
import { formatNumber, formatSection, formatTable, type Sample } from "./report.ts";

function sample(subject: string, round: number, cost: number, noise: Partial<Sample> = {}): Sample {
  return { subject, round, values: { "cost, µs": cost }, steal: 0, others: 0, ...noise };
}

const SECTION = { title: "load", subjects: ["ours", "theirs"], ratios: [["ours", "theirs"]] } as const;

Deno.test("a section shows medians, their ratio and the wider of the spreads", () => {
  const samples = [10, 11, 12].map((cost, i) => sample("ours", i + 1, cost))
    .concat([40, 44, 46].map((cost, i) => sample("theirs", i + 1, cost)));
  assert.equal(
    formatSection({ ...SECTION, samples }),
    [
      "| load     | ours | theirs | ours / theirs | others | spread |",
      "| -------- | ---: | -----: | ------------: | -----: | -----: |",
      "| cost, µs |   11 |     44 |          0.25 |    0 % |    9 % |",
    ].join("\n"),
  );
});

Deno.test("a line is called noisy where samples lie far apart, or others used the machine", () => {
  const steady = [sample("ours", 1, 10), sample("theirs", 1, 10)];
  const lastCell = (samples: readonly Sample[]) => formatSection({ ...SECTION, samples }).split(" | ").at(-1);
  assert.match(lastCell(steady) ?? "", /^ *0 % \|$/);
  assert.match(lastCell([...steady, sample("ours", 2, 20)]) ?? "", /^noisy: 33 % \|$/);
  assert.match(lastCell(steady.map((one) => ({ ...one, steal: 0.07 }))) ?? "", /^noisy: 0 %, steal 7 % \|$/);
  assert.match(lastCell(steady.map((one) => ({ ...one, others: 0.2 }))) ?? "", /^noisy: 0 %, others \|$/);
});

Deno.test("a difference that is less than nothing has no ratio", () => {
  const ratio = (ours: number, theirs: number) =>
    formatSection({ ...SECTION, samples: [sample("ours", 1, ours), sample("theirs", 1, theirs)] })
      .split("\n").at(-1)?.split(" | ").at(3)?.trim();
  assert.deepEqual([ratio(1, 2), ratio(-1, 2), ratio(1, -2), ratio(1, 0)], ["0.50", "-", "-", "-"]);
});

Deno.test("what other programs used is shown where it was read", () => {
  const othersCell = (samples: readonly Sample[]) => formatSection({ ...SECTION, samples }).split(" | ").at(-2)?.trim();
  const both = [sample("ours", 1, 10), sample("theirs", 1, 10)];
  assert.equal(othersCell(both.map((one) => ({ ...one, others: 0.031 }))), "3 %");
  assert.equal(othersCell(both.map(({ others: _, ...one }) => one)), "-");
});

Deno.test("what TLS was spoken stands under the table, and where one differs, of whom", () => {
  const lines = (ours: string, theirs: string) =>
    formatSection({
      ...SECTION,
      samples: [sample("ours", 1, 10, { tls: ours }), sample("theirs", 1, 10, { tls: theirs })],
    }).split("\n").slice(3);
  assert.deepEqual(lines("X25519", "X25519"), ["", "TLS of ours, theirs: X25519"]);
  assert.deepEqual(lines("X25519", "P-256"), ["", "TLS of ours: X25519", "TLS of theirs: P-256"]);
});

Deno.test("numbers are shown with three digits, or in groups of thousands", () => {
  assert.deepEqual([0, 0.012345, 0.5, 18.649, 156.4, 4321.9, 1234567].map(formatNumber), [
    "0",
    "0.0123",
    "0.5",
    "18.6",
    "156",
    "4,322",
    "1,234,567",
  ]);
});

Deno.test("a table's columns are as wide as their widest cell", () => {
  assert.equal(formatTable([["a", "bb"], ["cccc", "d"]]), "| a    |  bb |\n| ---- | --: |\n| cccc |   d |");
});
