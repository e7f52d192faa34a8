import assert from "node:assert/strict";
import { dirname, relative, resolve } from "node:path";
import { ROOT } from "../scripts/program.ts";

/** Folders whose Markdown is not this repository's. */
const FOREIGN = new Set([".git", ".dev", "node_modules", "out"]);

function* markdownBelow(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    const path = resolve(folder, entry.name);
    if (entry.isDirectory && !FOREIGN.has(entry.name)) yield* markdownBelow(path);
    else if (entry.isFile && entry.name.endsWith(".md")) yield path;
  }
}

/** The text without code, in which neither a `#` nor a bracket means anything. */
function prose(text: string): string {
  return text.replaceAll(/^(`{3,}|~{3,})[^]*?^\1.*$/gm, "").replaceAll(/^ {4,}.*$/gm, "");
}

/** The anchors of a page's headings, made as GitHub makes them: `How it ends` is `how-it-ends`. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of prose(text).matchAll(/^#{1,6} +(.+?)(?: +#+)?$/gm)) {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = words.replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

/** Where a page links to, addresses with a scheme left out: both `[text](target)` and `[name]: target`. */
function linksOf(text: string): string[] {
  const plain = prose(text).replaceAll(/(`+)[^`]+?\1/g, "");
  const found = plain.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|^ {0,3}\[[^\]]+\]: +<?([^\s>]+)/gm);
  return Array.from(found, ([, inline, reference]) => inline ?? reference ?? "")
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target));
}

/** Links of a page that lead nowhere. */
function deadLinks(path: string, text: string, read: (path: string) => string | undefined): string[] {
  return linksOf(text).filter((link) => {
    const [file = "", anchor = ""] = link.split("#");
    const target = file === "" ? path : resolve(dirname(path), decodeURIComponent(file));
    const linked = target === path ? text : read(target);
    return linked === undefined || (anchor !== "" && !anchorsOf(linked).has(anchor));
  });
}

/** A file's text; of a folder nothing, which no anchor is in; `undefined` where there is neither. */
function readLinked(path: string): string | undefined {
  try {
    return Deno.statSync(path).isDirectory ? "" : Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

Deno.test("every link within the documents leads somewhere", () => {
  const pages = [...markdownBelow(ROOT)];
  assert.ok(pages.length >= 6, "the walk must find the documents");
  let links = 0;
  const dead = pages.flatMap((path) => {
    const text = Deno.readTextFileSync(path);
    links += linksOf(text).length;
    return deadLinks(path, text, readLinked).map((link) => `${relative(ROOT, path)}: ${link}`);
  });
  assert.ok(links > 20, "and their links");
  assert.deepEqual(dead, []);
});

Deno.test("a link to a file or a heading that is not there is found, however it is written", () => {
  const files: Record<string, string> = {
    "/docs/HTTP.md": "# HTTP (L7 routes)\n\n## `ctl` and [links](X.md), both\n\n## Twice\n\n## Twice\n",
  };
  const dead = (text: string) => deadLinks("/README.md", text, (path) => files[path]);
  for (
    const text of [
      "[a](docs/HTTP.md)",
      "[a](docs/HTTP.md#http-l7-routes)",
      "[a](docs/HTTP.md#ctl-and-links-both), [b](docs/HTTP.md#twice-1)",
      "## Here\n\n[a](#here)",
      "[a](https://example.net/b#c) and [d](mailto:e@example.net)",
      "```sh\n[a](nowhere.md)\n```\n\n    [a](nowhere.md)\n\n`[a](nowhere.md)`",
    ]
  ) assert.deepEqual(dead(text), [], text);
  for (
    const [text, link] of [
      ["[a](docs/NONE.md)", "docs/NONE.md"],
      ["[a](docs/HTTP.md#none)", "docs/HTTP.md#none"],
      ["[a](docs/HTTP.md#twice-2)", "docs/HTTP.md#twice-2"],
      ["[a](#none)", "#none"],
      ["```sh\n# none\n```\n\n[a](#none)", "#none"],
      ["[a][b]\n\n[b]: docs/NONE.md", "docs/NONE.md"],
      ["| [a](docs/NONE.md) |", "docs/NONE.md"],
    ] as const
  ) assert.deepEqual(dead(text), [link], text);
});

/** The first three figures of each row of each table, which are those of mc-proxy, HAProxy and nginx. */
function figuresOf(text: string): string[] {
  return Array.from(text.matchAll(/^\|[^|]+\|([^|]+)\|([^|]+)\|([^|]+)\|/gm), ([, ...cells]) => cells)
    .map((cells) => cells.map((cell) => cell.trim()))
    .filter((cells) => cells.every((cell) => /^[\d.,]+$/.test(cell)))
    .map((cells) => cells.join(" "));
}

Deno.test("the figures of docs/COMPARISON.md are those of docs/BENCHMARKS.md", async () => {
  const compared = figuresOf(await Deno.readTextFile(`${ROOT}docs/COMPARISON.md`));
  assert.ok(compared.length >= 9);
  const measured = new Set(figuresOf(await Deno.readTextFile(`${ROOT}docs/BENCHMARKS.md`)));
  assert.deepEqual(compared.filter((figures) => !measured.has(figures)), []);
});

Deno.test("what docs/COMPARISON.md says of each proxy has a source, and each source is used", async () => {
  const page = await Deno.readTextFile(`${ROOT}docs/COMPARISON.md`);
  const [claims = "", sources = ""] = page.split("\n## Sources\n");
  const used = new Set(Array.from(claims.matchAll(/\b[A-Z]\d+(?=[,)])/g), ([code]) => code));
  const given = Array.from(sources.replaceAll(/\s+/g, " ").matchAll(/(?:- |; )([A-Z]\d+) /g), ([, code]) => code ?? "");
  assert.ok(given.length > 50);
  assert.deepEqual([...used].sort(), given.sort());
});
