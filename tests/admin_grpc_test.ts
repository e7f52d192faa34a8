/** The admin API as a gRPC client sees it that knows only the .proto files, and those that it finds by reflection. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  Client,
  type ClientReadableStream,
  credentials,
  makeGenericClientConstructor,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync, type Options, type ServiceDefinition } from "@grpc/proto-loader";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  anyUnpack,
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { protoPath as healthProtoPath } from "grpc-health-check";
import { BadRequestSchema } from "../lib/admin/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../lib/admin/gen/google/rpc/status_pb.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { Backend, readExactly, sayHello } from "./harness/peers.ts";

const PROTO = fileURLToPath(new URL("../proto", import.meta.url));
const OPTIONS: Options = { enums: String, defaults: true, includeDirs: [PROTO] };

/** A client of one service, made from its .proto file. */
function clientOf(protoFile: string, service: string, socket: string) {
  const definition = loadSync(protoFile, OPTIONS)[service] as ServiceDefinition;
  const Constructor: ServiceClientConstructor = makeGenericClientConstructor(definition, service);
  const client = new Constructor(`unix:${socket}`, credentials.createInsecure());
  return {
    /** A unary call. */
    call(method: string, request: object): Promise<Record<string, unknown>> {
      const { path, requestSerialize, responseDeserialize } = methodOf(definition, method);
      const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) => {
        if (error === null) resolve(answer as Record<string, unknown>);
        else reject(error);
      });
      return promise;
    },
    /** A call whose answers stream. */
    stream(method: string, request: object): ClientReadableStream<Record<string, unknown>> {
      const { path, requestSerialize, responseDeserialize } = methodOf(definition, method);
      return client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
      ) as ClientReadableStream<
        Record<string, unknown>
      >;
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function methodOf(definition: ServiceDefinition, name: string) {
  const method = definition[name];
  assert.ok(method, name);
  return method;
}

function adminOf(socket: string) {
  return clientOf("mc_proxy/v1/admin.proto", "mc_proxy.v1.ProxyAdminService", socket);
}

/** The code and the fields at fault of a call that fails. */
async function refusal(call: Promise<unknown>): Promise<{ code: string; fields: readonly string[] }> {
  const error = await call.then(() => assert.fail("it was taken"), (error: ServiceError) => error);
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const details = bytes === undefined ? [] : fromBinary(StatusSchema, bytes as Uint8Array).details;
  const violations = details.flatMap((detail) => anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? []);
  return { code: String(status[error.code]), fields: violations.map(({ field }) => field) };
}

Deno.test("a client that knows only admin.proto adds a route and reads it back", async () => {
  using backend = new Backend();
  await using test = await administered();
  using admin = adminOf(test.socket);
  const route = { hostname: "a.test", backend: backend.addr };
  const { replaced, warnings } = await admin.call("AddRoute", { listenerAddr: ADDR, route });
  assert.deepEqual([replaced, warnings], [undefined, []]);
  using client = await sayHello(test.proxy.address(), "a.test");
  using served = await backend.accept();
  await readExactly(served, 1);
  const { routes } = await admin.call("ListRoutes", { listenerAddr: ADDR });
  assert.deepEqual(routes, [{
    ...route,
    mode: "ROUTE_MODE_L4",
    sendProxyProtocol: false,
    tlsCert: "",
    tlsKey: "",
    backendTls: false,
    backendProtocol: "BACKEND_PROTOCOL_UNSPECIFIED",
    backendCa: "",
    backendServerName: "",
    backendPins: [],
    backendTimeoutMs: 60_000,
    backendMaxConnections: 1_024,
    allowTrace: false,
    l7Policies: [],
  }]);
  assert.ok(client.localAddr);
});

Deno.test("the fields at fault come as a google.rpc.BadRequest, which every gRPC tool can read", async () => {
  await using test = await administered();
  using admin = adminOf(test.socket);
  const found = await refusal(admin.call("AddRoute", { listenerAddr: ADDR, route: { mode: 99 } }));
  assert.deepEqual(found, { code: "INVALID_ARGUMENT", fields: ["route.hostname", "route.backend", "route.mode"] });
});

Deno.test("health is watched: serving, then not serving while the proxy drains", async () => {
  using backend = new Backend();
  await using test = await administered([{ hostname: "a.test", backend: backend.addr }]);
  using health = clientOf(healthProtoPath, "grpc.health.v1.Health", test.socket);
  const service = "mc_proxy.v1.ProxyAdminService";
  assert.deepEqual(await health.call("Check", { service }), { status: "SERVING" });
  assert.deepEqual(await health.call("Check", { service: "" }), { status: "SERVING" });
  assert.equal((await refusal(health.call("Check", { service: "none" }))).code, "NOT_FOUND");
  const unknown = health.stream("Watch", { service: "none" });
  unknown.on("error", () => {}); // that it is cancelled
  assert.deepEqual(await once(unknown, "data"), [{ status: "SERVICE_UNKNOWN" }]);
  unknown.cancel();

  const watch = health.stream("Watch", { service });
  watch.on("error", () => {}); // the end of the program ends it
  assert.deepEqual(await once(watch, "data"), [{ status: "SERVING" }]);
  const client = await sayHello(test.proxy.address(), "a.test");
  const served = await backend.accept();
  await readExactly(served, 1);
  const changed = once(watch, "data");
  test.proxy.signal("SIGTERM");
  assert.deepEqual(await changed, [{ status: "NOT_SERVING" }]);
  await test.proxy.event("draining");
  assert.equal((await test.admin.getStatus()).draining, true);
  assert.equal(await test.admin.isServing(), false);
  await assert.rejects(test.admin.addRoute(ADDR, { hostname: "b.test", backend: "127.0.0.1:1" }), {
    code: "UNAVAILABLE",
    message: "the server is shutting down",
  });
  client.close();
  served.close();
  assert.equal((await test.proxy.exit()).code, 0);
  assert.throws(() => Deno.lstatSync(test.socket), Deno.errors.NotFound);
});

Deno.test("a tool without .proto files finds every service and message by reflection", async () => {
  await using test = await administered();
  const reflection = loadSync("grpc/reflection/v1/reflection.proto", {
    ...OPTIONS,
    includeDirs: [fileURLToPath(new URL("testdata", import.meta.url))],
  });
  const definition = reflection["grpc.reflection.v1.ServerReflection"] as ServiceDefinition;
  const { path, requestSerialize, responseDeserialize } = methodOf(definition, "ServerReflectionInfo");
  const client = new Client(`unix:${test.socket}`, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
  call.on("error", () => {}); // of an assertion that fails below
  const ask = async (request: object): Promise<Record<string, Record<string, unknown>>> => {
    const answer = once(call, "data");
    call.write(request);
    return (await answer)[0];
  };
  const { listServicesResponse } = await ask({ listServices: "" });
  const services = (listServicesResponse?.["service"] as { name: string }[]).map(({ name }) => name).sort();
  assert.deepEqual(services, ["grpc.health.v1.Health", "mc_proxy.v1.ProxyAdminService"]);
  const messages = ["mc_proxy.v1.Route", "google.rpc.BadRequest"];
  const entries = new Set<string>();
  for (const symbol of [...services, ...messages]) {
    const { fileDescriptorResponse } = await ask({ fileContainingSymbol: symbol });
    const files = (fileDescriptorResponse?.["fileDescriptorProto"] as Uint8Array[])
      .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    const names = files.map((file) => file.package);
    assert.ok(names.includes(symbol.slice(0, symbol.lastIndexOf("."))), `${symbol}: ${names}`);
    const [file] = files;
    assert.ok(file !== undefined);
    assert.ok(createFileRegistry(file, (wanted) => files.find(({ name }) => name === wanted)).get(symbol), symbol);
    for (const file of files) {
      for (const message of file.messageType) for (const entry of assertMapEntries(file, message)) entries.add(entry);
    }
  }
  assert.deepEqual([...entries].sort(), [
    "grpc.health.v1.HealthListResponse.StatusesEntry",
    "mc_proxy.v1.HostnameStats.PolicyBlocksEntry",
    "mc_proxy.v1.HostnameStats.ResponsesEntry",
    "mc_proxy.v1.ListenerStats.RejectedEntry",
    "mc_proxy.v1.ListenerStatus.RejectedEntry",
    "mc_proxy.v1.WatchStatsResponse.FirewallBlockedEntry",
  ]);
  const ended = once(call, "status");
  call.end();
  assert.equal((await ended)[0].code, status.OK);
  client.close();
});

/**
 * That the entries of maps are named as descriptor.proto has it: the field's name in CamelCase, and `Entry`. Readers
 * refuse a file with any other.
 *
 * @returns The full names of the entries.
 */
function assertMapEntries(file: FileDescriptorProto, message: DescriptorProto): string[] {
  const entries = message.nestedType.filter(({ options }) => options?.mapEntry).map(({ name }) => name);
  const named = entries.map((name) => `.${file.package}.${message.name}.${name}`);
  const fields = message.field.filter(({ typeName }) => named.includes(typeName));
  const camelCase = ({ name }: { readonly name: string }) =>
    name.replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
  assert.deepEqual(fields.map((field) => `${camelCase(field)}Entry`), entries, message.name);
  return named.map((name) => name.slice(1));
}
