/** The admin API as a gRPC client sees it that knows only the .proto files, and those that it finds by reflection. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import {
  create,
  createFileRegistry,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import {
  anyUnpack,
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { BadRequestSchema } from "../lib/admin/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../lib/admin/gen/google/rpc/status_pb.ts";
import { Health } from "../lib/admin/gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../lib/admin/gen/grpc/reflection/v1/reflection_pb.ts";
import { ProxyAdminService, type RouteMode } from "../lib/admin/gen/mc_proxy/v1/admin_pb.ts";
import { methodDefinition } from "../lib/admin/grpc.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { Backend, readExactly, sayHello } from "./harness/peers.ts";
import { isInstalled, runTool } from "./harness/tools.ts";

const { method: admin } = ProxyAdminService;
const { method: health } = Health;

/** A client that has nothing of `AdminClient`; answers are as protobuf writes them in JSON, fields at their defaults too. */
class RawClient extends Client {
  constructor(socket: string) {
    super(`unix:${socket}`, credentials.createInsecure());
  }

  /** A unary call. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<JsonValue> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    const { promise, resolve, reject } = Promise.withResolvers<MessageShape<O>>();
    this.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(method.input, request),
      (error, answer) => {
        if (error !== null) reject(error);
        else if (answer !== undefined) resolve(answer);
      },
    );
    return toJson(method.output, await promise, { alwaysEmitImplicit: true });
  }

  /** A call whose answers stream. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
  ) {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    const call = this.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(method.input, request),
    );
    call.on("error", () => {}); // that it is cancelled, or that the program ends
    return {
      next: async (): Promise<JsonValue> => toJson(method.output, (await once(call, "data"))[0]),
      cancel: () => call.cancel(),
    };
  }

  [Symbol.dispose](): void {
    this.close();
  }
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
  using client = new RawClient(test.socket);
  const route = { hostname: "a.test", backend: backend.addr };
  const added = await client.call(admin.addRoute, { listenerAddr: ADDR, route });
  const stored = {
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
    backendTimeout: "60s",
    backendMaxConnections: 1_024,
    allowTrace: false,
    l7Policies: [],
  };
  assert.deepEqual(added, { route: stored, warnings: [] }); // and nothing is replaced
  using connected = await sayHello(test.proxy.address(), "a.test");
  using served = await backend.accept();
  await readExactly(served, 1);
  assert.deepEqual(await client.call(admin.listRoutes, { listenerAddr: ADDR }), { routes: [stored] });
  assert.ok(connected.localAddr);
});

Deno.test("the fields at fault come as a google.rpc.BadRequest, which every gRPC tool can read", async () => {
  await using test = await administered();
  using client = new RawClient(test.socket);
  const found = await refusal(client.call(admin.addRoute, { listenerAddr: ADDR, route: { mode: 99 as RouteMode } }));
  assert.deepEqual(found, { code: "INVALID_ARGUMENT", fields: ["route.hostname", "route.backend", "route.mode"] });
});

Deno.test("health is watched: serving, then not serving while the proxy drains", async () => {
  using backend = new Backend();
  await using test = await administered([{ hostname: "a.test", backend: backend.addr }]);
  using client = new RawClient(test.socket);
  const service = "mc_proxy.v1.ProxyAdminService";
  const serving = { status: "SERVING" };
  assert.deepEqual(await client.call(health.check, { service }), serving);
  assert.deepEqual(await client.call(health.check, { service: "" }), serving);
  assert.deepEqual(await client.call(health.list, {}), { statuses: { "": serving, [service]: serving } });
  const unknown = await client.call(health.check, { service: "none" }).catch((error: ServiceError) => error);
  assert.ok(unknown instanceof Error && "code" in unknown);
  assert.deepEqual([unknown.code, unknown.details], [status.NOT_FOUND, "Health status unknown for service none"]);
  const unknownWatch = client.stream(health.watch, { service: "none" });
  assert.deepEqual(await unknownWatch.next(), { status: "SERVICE_UNKNOWN" });
  unknownWatch.cancel();

  const watches = [service, ""].map((service) => client.stream(health.watch, { service }));
  for (const watch of watches) assert.deepEqual(await watch.next(), serving);
  const left = client.stream(health.watch, { service });
  assert.deepEqual(await left.next(), serving);
  left.cancel();
  const connected = await sayHello(test.proxy.address(), "a.test");
  const served = await backend.accept();
  await readExactly(served, 1);
  const changed = Promise.all(watches.map((watch) => watch.next()));
  test.proxy.signal("SIGTERM");
  assert.deepEqual(await changed, watches.map(() => ({ status: "NOT_SERVING" })));
  await test.proxy.event("draining");
  assert.equal((await test.admin.getStatus()).draining, true);
  assert.equal(await test.admin.isServing(), false);
  await assert.rejects(test.admin.addRoute(ADDR, { hostname: "b.test", backend: "127.0.0.1:1" }), {
    code: "UNAVAILABLE",
    message: "the server is shutting down",
  });
  connected.close();
  served.close();
  assert.equal((await test.proxy.exit()).code, 0);
  assert.throws(() => Deno.lstatSync(test.socket), Deno.errors.NotFound);
});

for (const version of ["v1", "v1alpha"]) {
  Deno.test(`a tool without .proto files finds every service and message by reflection, ${version}`, () =>
    findByReflection(version));
}

async function findByReflection(version: string): Promise<void> {
  await using test = await administered();
  using client = new RawClient(test.socket);
  const { path, requestSerialize, responseDeserialize } = methodDefinition(
    ServerReflection.method.serverReflectionInfo,
  );
  const call = client.makeBidiStreamRequest(
    path.replace("grpc.reflection.v1.", `grpc.reflection.${version}.`),
    requestSerialize,
    responseDeserialize,
    new Metadata(),
  );
  call.on("error", () => {}); // of an assertion that fails below
  const ask = async (messageRequest: Question): Promise<ServerReflectionResponse["messageResponse"]> => {
    const answer = once(call, "data");
    call.write(create(ServerReflectionRequestSchema, { messageRequest }));
    return (await answer)[0].messageResponse;
  };
  const listed = await ask({ case: "listServices", value: "" });
  assert.ok(listed.case === "listServicesResponse");
  const services = listed.value.service.map(({ name }) => name).sort();
  assert.deepEqual(services, ["grpc.health.v1.Health", "mc_proxy.v1.ProxyAdminService"]);
  const messages = ["mc_proxy.v1.Route", "google.rpc.BadRequest"];
  const entries = new Set<string>();
  for (const symbol of [...services, ...messages]) {
    const found = await ask({ case: "fileContainingSymbol", value: symbol });
    assert.ok(found.case === "fileDescriptorResponse", symbol);
    const files = found.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
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
}

Deno.test("reflection answers in order however many questions are sent at once", async () => {
  await using test = await administered();
  using client = new RawClient(test.socket);
  const { path, requestSerialize, responseDeserialize } = methodDefinition(
    ServerReflection.method.serverReflectionInfo,
  );
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
  const asked = Array.from({ length: 500 }, (_, i) => `${i}.proto`);
  for (const value of asked) {
    const messageRequest = { case: "fileByFilename", value } as const;
    call.write(create(ServerReflectionRequestSchema, { messageRequest }));
  }
  call.end();
  const answered: unknown[] = [];
  for await (const answer of call) answered.push(answer.originalRequest?.messageRequest.value);
  assert.deepEqual(answered, asked);
});

Deno.test({
  name: "grpcurl lists, describes and calls what the server speaks (needs grpcurl)",
  ignore: !isInstalled("grpcurl"),
  async fn() {
    await using test = await administered();
    const grpcurl = async (args: readonly string[], ...what: readonly string[]) => {
      const own = ["-plaintext", "-authority", "localhost", ...args];
      const { code, stdout, stderr } = await runTool("grpcurl", [...own, `unix://${test.socket}`, ...what]);
      assert.deepEqual([code, stderr], [0, ""]);
      return stdout;
    };
    assert.equal(await grpcurl([], "list"), "grpc.health.v1.Health\nmc_proxy.v1.ProxyAdminService\n");
    assert.match(await grpcurl([], "describe", "grpc.health.v1.Health"), /^ {2}rpc Watch \(/m);
    assert.match(await grpcurl([], "describe", "mc_proxy.v1.Route.hostname"), /^string hostname = 1;$/m);
    const asked = ["-d", '{"service":"mc_proxy.v1.ProxyAdminService"}'];
    assert.deepEqual(JSON.parse(await grpcurl(asked, "grpc.health.v1.Health/Check")), { status: "SERVING" });
  },
});

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

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
