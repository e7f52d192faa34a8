/** What a clone fetches before it does anything: deno.lock, whose every package `deno task` downloads. */
import assert from "node:assert/strict";
import { ROOT } from "../scripts/program.ts";
import configuration from "../deno.json" with { type: "json" };
import generator from "../proto/deno.json" with { type: "json" };

interface LockedPackage {
  readonly integrity: string;
  /** Whether it has an install script. */
  readonly scripts?: boolean;
  /** `name` or `name@version`. */
  readonly dependencies?: readonly string[];
}

interface Lock {
  /** `npm:name@version` as imported, and the version. */
  readonly specifiers: Readonly<Record<string, string>>;
  /** By `name@version`. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

async function readLock(path: string): Promise<Lock> {
  return JSON.parse(await Deno.readTextFile(ROOT + path));
}

const lock = await readLock("deno.lock");
const generatorLock = await readLock("proto/deno.lock");

function nameOf(nameAndVersion: string): string {
  return nameAndVersion.replace(/(?<=.)@.*$/, "");
}

Deno.test("what is fetched are the imports of deno.json at their exact versions, and what these need", () => {
  const imported = Object.values(configuration.imports);
  for (const specifier of imported) assert.match(specifier, /^npm:.+@\d+\.\d+\.\d+$/);
  assert.deepEqual(Object.keys(lock.specifiers), [...imported].sort());
  const needed = new Set(imported.map((specifier) => nameOf(specifier.slice("npm:".length))));
  for (const name of needed) {
    for (const [key, { dependencies = [] }] of Object.entries(lock.npm)) {
      if (nameOf(key) === name) { for (const each of dependencies) needed.add(nameOf(each)); }
    }
  }
  needed.delete("@grpc/proto-loader"); // package.json has another take its place
  assert.deepEqual(new Set(Object.keys(lock.npm).map(nameOf)), needed);
});

Deno.test("nothing that is fetched has an install script, of which Deno would warn at the first start", () => {
  for (const [name, { integrity, scripts }] of Object.entries(lock.npm)) {
    assert.match(integrity, /^sha512-/, name);
    assert.equal(scripts, undefined, name);
  }
});

Deno.test("what only the generator needs is not fetched: neither it, nor a compiler, nor a reader of .proto files", () => {
  const ownOfGenerator = Object.keys(generatorLock.npm).map(nameOf).filter((name) => name !== "@bufbuild/protobuf");
  assert.ok(ownOfGenerator.includes("@bufbuild/buf") && ownOfGenerator.includes("typescript"));
  const others = ["@grpc/proto-loader", "protobufjs", "@types/node"];
  const fetched = new Set(Object.keys(lock.npm).map(nameOf));
  for (const name of [...ownOfGenerator, ...others]) assert.ok(!fetched.has(name), name);
});

Deno.test("the generator is that of the library, and its install scripts are refused without a warning", async () => {
  assert.equal(generator.imports["@bufbuild/protobuf"], configuration.imports["@bufbuild/protobuf"]);
  assert.deepEqual(Object.keys(generatorLock.specifiers), Object.values(generator.imports).sort());
  const scripted = Object.entries(generatorLock.npm).filter(([, { scripts }]) => scripts).map(([name]) =>
    `npm:${name}`
  );
  assert.deepEqual(generator.allowScripts.deny, scripted);
  for (const template of ["buf.gen.yaml", "buf.gen.demo.yaml"]) {
    const text = await Deno.readTextFile(`${ROOT}proto/${template}`);
    assert.ok(text.includes(`"${generator.imports["@bufbuild/protoc-gen-es"]}/protoc-gen-es"`), template);
  }
  assert.ok(generator.tasks.buf.endsWith(` ${generator.imports["@bufbuild/buf"]}/buf`));
});
