import assert from "node:assert/strict";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What each folder may import, besides itself, the platform and packages. Nothing else may stand in the tree. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  "lib/wire": [],
  "lib/rules": ["lib/wire"],
  "lib/edge": ["lib/wire", "lib/rules"],
  "lib/control": ["lib/wire", "lib/rules", "lib/edge"],
  "lib/admin": ["lib/wire", "lib/rules", "lib/control"],
  "lib/cli": ["lib/wire", "lib/rules", "lib/edge", "lib/control", "lib/admin", "deno.json"],
  "main.ts": ["lib/cli"],
  "mod.ts": ["lib/wire", "lib/control", "lib/admin"],
};

type SourceFile = readonly [path: string, text: string];

/** The part of the house that a file is in: `lib/wire`, or the file itself at the root. */
function partOf(path: string): string {
  const [first = "", second] = path.split("/");
  return first === "lib" && second !== undefined ? `${first}/${second}` : first;
}

function* filesBelow(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* filesBelow(path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

function importsOf(text: string): string[] {
  const found = text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|^import\s+"([^"]+)"/gm,
  );
  return Array.from(found, ([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? "");
}

/** The files of the project that a file imports. */
function targetsOf(path: string, text: string): string[] {
  return importsOf(text)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => relative(ROOT, resolve(ROOT, dirname(path), specifier)));
}

/** Imports that run against the direction, as `file -> imported`. */
function violations(files: Iterable<SourceFile>): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const part = partOf(path);
    for (const target of targetsOf(path, text)) {
      const targetPart = partOf(target);
      if (targetPart !== part && !ALLOWED[part]?.includes(targetPart)) found.push(`${path} -> ${target}`);
    }
  }
  return found;
}

/** Circles of imports, as `file -> imported -> file`: at least one of each set of files that reach each other. */
function circles(files: Iterable<SourceFile>): string[] {
  const imports = new Map(Array.from(files, ([path, text]) => [path, targetsOf(path, text)]));
  const found: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const follow = (path: string): void => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path].join(" -> "));
    if (done.has(path) || way.includes(path)) return;
    way.push(path);
    for (const target of imports.get(path) ?? []) follow(target);
    way.pop();
    done.add(path);
  };
  for (const path of imports.keys()) follow(path);
  return found;
}

/** What would tie HTTP to one engine: the runtime's modules and names, and what waits outside of the turn. */
const FORBIDDEN_IN_HTTP =
  /"node:[^"]*"|\bDeno\.|\bPromise\b|\basync\b|\bawait\b|\.then\(|\bqueueMicrotask\b|\bset(?:Timeout|Interval|Immediate)\b/g;

/** Where HTTP uses what only one engine can give it, as `file: what`. */
function tiesToRuntime(files: Iterable<SourceFile>): string[] {
  return Array.from(files).flatMap(([path, text]) =>
    path.startsWith("lib/edge/http/")
      ? Array.from(withoutComments(text).matchAll(FORBIDDEN_IN_HTTP), ([what]) => `${path}: ${what}`)
      : []
  );
}

/** Examples in comments may import what they like, and sentences say "await". */
function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\*\*?[^]*?\*\/|(?<=^|\s)\/\/.*$/gm, "");
}

/** The program's own files; tests and benchmarks may reach further. */
function* programFiles(): Generator<SourceFile> {
  for (const path of [...filesBelow(`${ROOT}lib`), `${ROOT}main.ts`, `${ROOT}mod.ts`]) {
    if (!/_(test|bench)\.ts$|\/testdata\//.test(path)) yield [relative(ROOT, path), Deno.readTextFileSync(path)];
  }
}

Deno.test("imports run one way: wire <- rules <- edge <- control <- admin <- cli", () => {
  const files = [...programFiles()];
  assert.ok(files.length > 20, "the walk must find the program");
  assert.deepEqual(violations(files), []);
});

Deno.test("an import against the direction is found, however it is written", () => {
  const forms = [
    'import { a } from "../control/config.ts";',
    'import type {\n  A,\n} from "../control/config.ts";',
    'export * from "../control/config.ts";',
    'import "../control/config.ts";',
    'const a = await import("../control/config.ts");',
  ];
  for (const text of forms) {
    assert.deepEqual(violations([["lib/edge/x.ts", text]]), ["lib/edge/x.ts -> lib/control/config.ts"], text);
  }
});

Deno.test("no file imports itself through others", () => {
  assert.deepEqual(circles(programFiles()), []);
});

Deno.test("a circle of imports is found, of types too, wherever it is entered", () => {
  const a: SourceFile = ["lib/x/a.ts", 'import { b } from "./y/b.ts";'];
  const b: SourceFile = ["lib/x/y/b.ts", 'import type { C } from "../c.ts";\nimport "node:fs";'];
  const c: SourceFile = ["lib/x/c.ts", 'export { a } from "./a.ts";'];
  const entry: SourceFile = ["lib/x/entry.ts", 'import "./a.ts";\nimport "./c.ts";'];
  const circle = "lib/x/a.ts -> lib/x/y/b.ts -> lib/x/c.ts -> lib/x/a.ts";
  assert.deepEqual(circles([a, b, c]), [circle]);
  assert.deepEqual(circles([entry, a, b, c]), [circle]);
  assert.deepEqual(circles([b, c, a]), ["lib/x/y/b.ts -> lib/x/c.ts -> lib/x/a.ts -> lib/x/y/b.ts"]);
  assert.deepEqual(circles([entry, a, b]), [], "two ways to one file are no circle");
  assert.deepEqual(circles([["lib/x/a.ts", 'import "./a.ts";']]), ["lib/x/a.ts -> lib/x/a.ts"]);
});

Deno.test("HTTP waits for its turn alone: no module of the runtime, no promise, no timer", () => {
  assert.deepEqual(tiesToRuntime(programFiles()), []);
});

Deno.test("what would tie HTTP to the runtime is found, in code and not in comments", () => {
  const forms: readonly (readonly [text: string, what: string])[] = [
    ['import { Buffer } from "node:buffer";', '"node:buffer"'],
    ["const now = Deno.osUptime();", "Deno."],
    ["let end: Promise<void>;", "Promise"],
    ["const run = async () => {};", "async"],
    ["await end;", "await"],
    ["end.then(run);", ".then("],
    ["queueMicrotask(run);", "queueMicrotask"],
    ["setTimeout(run, 5);", "setTimeout"],
    ["setInterval(run, 5);", "setInterval"],
    ["setImmediate(run);", "setImmediate"],
  ];
  for (const [text, what] of forms) {
    const commented = `/** ${text} */\n// ${text}\n${text} // ${text}`;
    assert.deepEqual(tiesToRuntime([["lib/edge/http/http1/x.ts", commented]]), [`lib/edge/http/http1/x.ts: ${what}`]);
    assert.deepEqual(tiesToRuntime([["lib/edge/portable/x.ts", text]]), [], "an engine may");
  }
  const url = 'const url = "https://example.net/"; await url;';
  assert.deepEqual(tiesToRuntime([["lib/edge/http/x.ts", url]]), ["lib/edge/http/x.ts: await"]);
});
