import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { file_google_protobuf_java_features, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { file_grpc_health_v1_health } from "./gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { file_google_rpc_status } from "./gen/google/rpc/status_pb.ts";
import { Reflection } from "./reflection.ts";

const reflection = new Reflection([
  file_grpc_health_v1_health,
  file_google_rpc_status,
  file_google_protobuf_java_features,
]);

type Asked = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

function ask(messageRequest?: Asked) {
  const request = create(ServerReflectionRequestSchema, { host: "a.test", ...messageRequest && { messageRequest } });
  const response = create(ServerReflectionResponseSchema, reflection.answer(request));
  assert.equal(response.validHost, "a.test");
  assert.equal(response.originalRequest, request);
  return response.messageResponse;
}

/** The names of the files in an answer. */
function filesOf({ case: kind, value }: ReturnType<typeof ask>): string[] {
  assert.ok(kind === "fileDescriptorResponse", kind);
  return value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

function errorOf({ case: kind, value }: ReturnType<typeof ask>): [code: number, message: string] {
  assert.ok(kind === "errorResponse", kind);
  return [value.errorCode, value.errorMessage];
}

Deno.test("the services are those of the files, whatever is asked for", () => {
  for (const value of ["", "*"]) {
    const { case: kind, value: found } = ask({ case: "listServices", value });
    assert.ok(kind === "listServicesResponse");
    assert.deepEqual(found.service.map(({ name }) => name), ["grpc.health.v1.Health"]);
  }
});

Deno.test("a file comes first, behind it what it imports", () => {
  const health = ["grpc/health/v1/health.proto"];
  const rpcStatus = ["google/rpc/status.proto", "google/protobuf/any.proto"];
  assert.deepEqual(filesOf(ask({ case: "fileByFilename", value: "grpc/health/v1/health.proto" })), health);
  assert.deepEqual(filesOf(ask({ case: "fileByFilename", value: "google/rpc/status.proto" })), rpcStatus);
  assert.deepEqual(filesOf(ask({ case: "fileByFilename", value: "google/protobuf/any.proto" })), rpcStatus.slice(1));
  for (
    const value of [
      "grpc.health.v1.Health",
      "grpc.health.v1.Health.Watch",
      "grpc.health.v1.HealthCheckRequest",
      "grpc.health.v1.HealthCheckRequest.service",
      "grpc.health.v1.HealthCheckResponse.ServingStatus",
      "grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING",
      "grpc.health.v1.HealthListResponse.StatusesEntry",
      "grpc.health.v1.HealthListResponse.StatusesEntry.value",
    ]
  ) assert.deepEqual(filesOf(ask({ case: "fileContainingSymbol", value })), health, value);
  assert.deepEqual(filesOf(ask({ case: "fileContainingSymbol", value: "google.rpc.Status" })), rpcStatus);
});

Deno.test("extensions are found by what they extend", () => {
  const extended = "google.protobuf.FeatureSet";
  const numbers = ask({ case: "allExtensionNumbersOfType", value: extended });
  assert.ok(numbers.case === "allExtensionNumbersResponse");
  assert.deepEqual([numbers.value.baseTypeName, numbers.value.extensionNumber], [extended, [1001]]);
  const files = ["google/protobuf/java_features.proto", "google/protobuf/descriptor.proto"];
  const found = ask({ case: "fileContainingExtension", value: { containingType: extended, extensionNumber: 1001 } });
  assert.deepEqual(filesOf(found), files);
  assert.deepEqual(filesOf(ask({ case: "fileContainingSymbol", value: "pb.java" })), files);
});

Deno.test("what is not there is not found, and what is not a question is not answered", () => {
  const value = "no.such.thing";
  assert.deepEqual(errorOf(ask({ case: "fileByFilename", value })), [
    status.NOT_FOUND,
    "Proto file not found: no.such.thing",
  ]);
  assert.deepEqual(errorOf(ask({ case: "fileContainingSymbol", value })), [
    status.NOT_FOUND,
    "Symbol not found: no.such.thing",
  ]);
  assert.deepEqual(errorOf(ask({ case: "allExtensionNumbersOfType", value })), [
    status.NOT_FOUND,
    "Extensions not found for symbol no.such.thing",
  ]);
  for (const containingType of [value, "google.protobuf.FeatureSet"]) {
    const request = { case: "fileContainingExtension", value: { containingType, extensionNumber: 7 } } as const;
    assert.deepEqual(errorOf(ask(request)), [
      status.NOT_FOUND,
      `Extension not found for symbol ${containingType} at field 7`,
    ]);
  }
  assert.deepEqual(errorOf(ask()), [status.UNIMPLEMENTED, "Unimplemented method for request: undefined"]);
});
