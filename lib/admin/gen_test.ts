/** That the code in `gen` is what `deno task proto` makes of `proto`. */
import assert from "node:assert/strict";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary, isFieldSet } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  type MethodDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { loadSync } from "@grpc/proto-loader";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "./gen/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "./gen/grpc/health/v1/health_pb.ts";
import { file_mc_proxy_v1_admin } from "./gen/mc_proxy/v1/admin_pb.ts";

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const GEN = fileURLToPath(new URL("gen", import.meta.url));

/** What each .proto file is generated as. */
const FILES = {
  "google/rpc/error_details": file_google_rpc_error_details,
  "google/rpc/status": file_google_rpc_status,
  "grpc/health/v1/health": file_grpc_health_v1_health,
  "mc_proxy/v1/admin": file_mc_proxy_v1_admin,
} as const;

/** What every message, enum and service holds, a line each, by its full name. */
type Description = Record<string, readonly string[]>;

/** What the .proto files below `folder` say. */
function parsed(folder: string): Description {
  const names = Object.keys(FILES).map((name) => `${name}.proto`);
  const files = new Map<string, FileDescriptorProto>(); // proto-loader gives one for each package, with every type of it
  for (const entry of Object.values(loadSync(names, { keepCase: true, includeDirs: [folder] }))) {
    if (!Array.isArray(entry.fileDescriptorProtos)) continue; // a service
    for (const bytes of entry.fileDescriptorProtos) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.package, file);
    }
  }
  return describe([...files.values()]);
}

/** What the generated code says. */
function generated(): Description {
  return describe(Object.values(FILES).map(({ proto }) => proto));
}

function describe(files: readonly FileDescriptorProto[]): Description {
  const found: Description = {};
  for (const { package: name, messageType, enumType, service } of files) {
    if (name === "google.protobuf") continue; // comes with the library
    for (const message of messageType) describeMessage(`${name}.${message.name}`, message, found);
    for (const each of enumType) found[`${name}.${each.name}`] = valuesOf(each);
    for (const each of service) found[`${name}.${each.name}`] = each.method.map(describeMethod);
  }
  return found;
}

function describeMessage(name: string, message: DescriptorProto, found: Description): void {
  found[name] = message.field.map((field) => describeField(field, message));
  for (const each of message.enumType) found[`${name}.${each.name}`] = valuesOf(each);
  for (const nested of message.nestedType) {
    if (!nested.options?.mapEntry) describeMessage(`${name}.${nested.name}`, nested, found);
  }
}

function describeField(field: FieldDescriptorProto, message: DescriptorProto): string {
  const { name, number, label, type, typeName } = field;
  const entry = message.nestedType.find((nested) => nested.options?.mapEntry && nested.name === lastOf(typeName));
  // proto-loader marks a field that is `optional` by its oneof alone, which is named after it.
  const oneof = isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex)
    ? message.oneofDecl[field.oneofIndex]?.name
    : undefined;
  const typeText = entry === undefined
    ? `${type} ${lastOf(typeName)}`
    : `map of ${entry.field.map((each) => describeField(each, entry)).join(", ")}`;
  return `${name} = ${number}: ${typeText}, label ${label}, oneof ${oneof ?? "none"}`;
}

/** One side names types in full, the other as the file does. */
function lastOf(typeName: string): string {
  return typeName.slice(typeName.lastIndexOf(".") + 1);
}

function valuesOf({ value }: EnumDescriptorProto): string[] {
  return value.map(({ name, number }) => `${name} = ${number}`);
}

function describeMethod({ name, inputType, outputType, clientStreaming, serverStreaming }: MethodDescriptorProto) {
  const type = (streams: boolean, of: string) => `${streams ? "stream " : ""}${lastOf(of)}`;
  return `${name}(${type(clientStreaming, inputType)}): ${type(serverStreaming, outputType)}`;
}

/** The paths of the files below `folder`, less `ending`. */
function filesBelow(folder: string, ending: string, below = folder): string[] {
  return [...Deno.readDirSync(below)].flatMap(({ name, isDirectory }) => {
    const path = `${below}/${name}`;
    if (isDirectory) return filesBelow(folder, ending, path);
    return name.endsWith(ending) ? [relative(folder, path).slice(0, -ending.length)] : [];
  }).sort();
}

const OUTDATED = "lib/admin/gen is not what proto/ says; run: deno task proto";

Deno.test("the generated code has every message, enum and service of the .proto files as they are there", () => {
  assert.deepEqual(filesBelow(PROTO, ".proto"), Object.keys(FILES));
  assert.deepEqual(filesBelow(GEN, "_pb.ts"), Object.keys(FILES));
  const found = generated();
  assert.equal(found["mc_proxy.v1.ProxyAdminService"]?.length, 16);
  assert.deepEqual(found, parsed(PROTO), OUTDATED);
});

Deno.test("the generated code has every comment of the .proto files: they are the documentation of both", () => {
  for (const name of Object.keys(FILES)) {
    const code = new Set(
      Deno.readTextFileSync(`${GEN}/${name}_pb.ts`).split("\n").map((line) => line.replace(/^\s*(\*|\/\/)\s*/, "")),
    );
    for (const line of Deno.readTextFileSync(`${PROTO}/${name}.proto`).split("\n")) {
      const comment = /^\s*\/\/\s*(.+)$/.exec(line)?.[1];
      // protoc-gen-es has what ends a comment or begins a tag escaped.
      if (comment !== undefined && !/\*\/|@/.test(comment)) {
        assert.ok(code.has(comment), `${OUTDATED}\n${name}: ${comment}`);
      }
    }
  }
});

Deno.test("whatever changes in a .proto file is noticed", () => {
  const folder = Deno.makeTempDirSync();
  try {
    for (const name of Object.keys(FILES)) {
      Deno.mkdirSync(`${folder}/${name}`.replace(/\/[^/]+$/, ""), { recursive: true });
      Deno.copyFileSync(`${PROTO}/${name}.proto`, `${folder}/${name}.proto`);
    }
    assert.deepEqual(parsed(folder), generated());
    for (
      const [file, before, after] of [
        ["mc_proxy/v1/admin", "string tls_cert = 5;", "string tls_certificate = 5;"],
        ["mc_proxy/v1/admin", "string tls_cert = 5;", "string tls_cert = 99;"],
        ["mc_proxy/v1/admin", "string tls_cert = 5;", "bytes tls_cert = 5;"],
        ["mc_proxy/v1/admin", "string tls_cert = 5;", "optional string tls_cert = 5;"],
        ["mc_proxy/v1/admin", "string tls_cert = 5;", "repeated string tls_cert = 5;"],
        ["mc_proxy/v1/admin", "string tls_cert = 5;", "oneof tls { string tls_cert = 5; }"],
        ["mc_proxy/v1/admin", "  string tls_cert = 5;\n", ""],
        ["mc_proxy/v1/admin", "RouteMode mode = 3;", "BackendProtocol mode = 3;"],
        ["mc_proxy/v1/admin", "optional Route replaced = 2;", "Route replaced = 2;"],
        ["mc_proxy/v1/admin", "map<string, uint64> rejected", "map<string, int64> rejected"],
        ["mc_proxy/v1/admin", "ROUTE_MODE_L7 = 2;", "ROUTE_MODE_L7 = 3;"],
        ["mc_proxy/v1/admin", "ROUTE_MODE_L7 = 2;", "ROUTE_MODE_L7 = 2;\nROUTE_MODE_L8 = 3;"],
        [
          "mc_proxy/v1/admin",
          "message RemoveL7PolicyResponse {}",
          "message RemoveL7PolicyResponse {}\nmessage More {}",
        ],
        ["mc_proxy/v1/admin", "returns (GetStatusResponse);", "returns (stream GetStatusResponse);"],
        ["mc_proxy/v1/admin", "returns (GetStatusResponse);", "returns (GeoIpStatus);"],
        [
          "mc_proxy/v1/admin",
          "returns (GetStatusResponse);",
          "returns (GetStatusResponse);\nrpc Stop(GetStatusRequest) returns (GetStatusResponse);",
        ],
        ["google/rpc/status", "int32 code = 1;", "int64 code = 1;"],
        ["google/rpc/error_details", "string description = 2;", "string description = 3;"],
      ] as const
    ) {
      const path = `${folder}/${file}.proto`;
      const text = Deno.readTextFileSync(path);
      assert.ok(text.includes(before), before);
      Deno.writeTextFileSync(path, text.replace(before, after));
      assert.notDeepEqual(parsed(folder), generated(), `${before} -> ${after}`);
      Deno.writeTextFileSync(path, text);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
