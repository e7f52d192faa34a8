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

/** Imports that run against the direction, as `file -> imported`. */
function violations(files: Iterable<readonly [path: string, text: string]>): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const part = partOf(path);
    for (const specifier of importsOf(text)) {
      if (!specifier.startsWith(".")) continue;
      const target = relative(ROOT, resolve(ROOT, dirname(path), specifier));
      const targetPart = partOf(target);
      if (targetPart !== part && !ALLOWED[part]?.includes(targetPart)) found.push(`${path} -> ${target}`);
    }
  }
  return found;
}

/** The program's own files; tests and benchmarks may reach further. */
function* programFiles(): Generator<readonly [string, string]> {
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
