/** That the code in `gen` is what `deno task proto` made of `proto`. */
import assert from "node:assert/strict";
import { dirname, relative } from "node:path";
import { file_google_rpc_error_details } from "../lib/admin/gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "../lib/admin/gen/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "../lib/admin/gen/grpc/health/v1/health_pb.ts";
import { file_grpc_reflection_v1_reflection } from "../lib/admin/gen/grpc/reflection/v1/reflection_pb.ts";
import { file_mc_proxy_v1_admin, ProxyAdminService } from "../lib/admin/gen/mc_proxy/v1/admin_pb.ts";
import { digests, DIGESTS_FILE } from "./proto_digests.ts";
import { ROOT } from "./program.ts";

const PROTO = `${ROOT}proto`;
const GEN = `${ROOT}lib/admin/gen`;

/** What each .proto file is generated as. */
const FILES = {
  "google/rpc/error_details": file_google_rpc_error_details,
  "google/rpc/status": file_google_rpc_status,
  "grpc/health/v1/health": file_grpc_health_v1_health,
  "grpc/reflection/v1/reflection": file_grpc_reflection_v1_reflection,
  "mc_proxy/v1/admin": file_mc_proxy_v1_admin,
} as const;

/** The paths of the files below `folder`, less `ending`. */
function filesBelow(folder: string, ending: string, below = folder): string[] {
  return [...Deno.readDirSync(below)].flatMap(({ name, isDirectory }) => {
    const path = `${below}/${name}`;
    if (isDirectory) return filesBelow(folder, ending, path);
    return name.endsWith(ending) ? [relative(folder, path).slice(0, -ending.length)] : [];
  }).sort();
}

const OUTDATED = "the generated code is not what the .proto files say; run: deno task proto";

Deno.test("the .proto files and the generated code are those that belong together", () => {
  assert.deepEqual(filesBelow(PROTO, ".proto"), Object.keys(FILES));
  assert.deepEqual(filesBelow(GEN, "_pb.ts"), Object.keys(FILES));
  assert.deepEqual(digests(ROOT), JSON.parse(Deno.readTextFileSync(ROOT + DIGESTS_FILE)), OUTDATED);
});

Deno.test("the generated code has every name and comment of the .proto files: they are the documentation of both", () => {
  for (const [name, file] of Object.entries(FILES)) {
    assert.equal(`${file.name}.proto`, `${name}.proto`);
    const source = Deno.readTextFileSync(`${PROTO}/${name}.proto`);
    const types = [...file.messages, ...file.enums, ...file.services].map((type) => type.name).sort();
    assert.deepEqual(
      types,
      Array.from(source.matchAll(/^(?:message|enum|service) (\w+)/gm), ([, type]) => type).sort(),
    );
    const code = new Set(
      Deno.readTextFileSync(`${GEN}/${name}_pb.ts`).split("\n").map((line) => line.replace(/^\s*(\*|\/\/)\s*/, "")),
    );
    for (const line of source.split("\n")) {
      const comment = /^\s*\/\/\s*(.+)$/.exec(line)?.[1];
      // protoc-gen-es has what ends a comment or begins a tag escaped.
      if (comment !== undefined && !/\*\/|@/.test(comment)) {
        assert.ok(code.has(comment), `${OUTDATED}\n${name}: ${comment}`);
      }
    }
  }
  assert.equal(ProxyAdminService.methods.length, 16);
});

Deno.test("whatever changes in a .proto file, the generator or the generated code is noticed", () => {
  const root = `${Deno.makeTempDirSync()}/`;
  try {
    const before = digests(ROOT);
    for (const path of Object.keys(before)) {
      Deno.mkdirSync(root + dirname(path), { recursive: true });
      Deno.copyFileSync(ROOT + path, root + path);
    }
    assert.deepEqual(digests(root), before);
    for (
      const [path, from, to] of [
        ["proto/mc_proxy/v1/admin.proto", "string tls_cert = 5;", "string tls_cert = 15;"],
        ["proto/buf.gen.yaml", "protoc-gen-es@", "protoc-gen-es@1"],
        ["proto/deno.lock", '"integrity": "sha512-', '"integrity": "sha512-x'],
        ["lib/admin/gen/mc_proxy/v1/admin_pb.ts", "tlsCert: string", "tlsCert: number"],
        ["scripts/dev/grpc/echo.proto", "uint32 count", "uint64 count"],
        ["scripts/dev/grpc/gen/echo_pb.ts", "count: number", "count: bigint"],
      ] as const
    ) {
      const text = Deno.readTextFileSync(root + path);
      assert.ok(text.includes(from), from);
      Deno.writeTextFileSync(root + path, text.replace(from, to));
      assert.notDeepEqual(digests(root), before, path);
      Deno.writeTextFileSync(root + path, text);
    }
    Deno.writeTextFileSync(`${root}lib/admin/gen/left_over_pb.ts`, "");
    assert.notDeepEqual(digests(root), before);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
