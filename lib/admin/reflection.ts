/**
 * Server reflection: from it a gRPC tool without .proto files learns what a server speaks.
 *
 * It is answered as `grpc.reflection.v1` and as `grpc.reflection.v1alpha`, which differ by nothing but the name.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 *
 * @module
 */

import { type DescFile, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { type DescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type Server, type ServerDuplexStream, type ServiceDefinition, status } from "@grpc/grpc-js";
import {
  type ExtensionRequest,
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { serviceDefinition } from "./grpc.ts";

type Response = MessageInitShape<typeof ServerReflectionResponseSchema>;
type MessageResponse = NonNullable<Response["messageResponse"]>;

/** See the module. */
export class Reflection {
  /** By their names: `google/rpc/status.proto`. */
  readonly #files = new Map<string, DescFile>();
  /** The files by the full names of what they define: services, methods, messages, fields, enums, their values. */
  readonly #symbols = new Map<string, DescFile>();
  /** The files by the numbers of the extensions in them, by the full names of the messages that are extended. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();
  /** By their full names. */
  readonly #services: string[] = [];

  /** @param files What is told of; what they import is added. */
  constructor(files: readonly DescFile[]) {
    for (const file of withImports(files)) {
      this.#files.set(`${file.name}.proto`, file);
      for (const name of symbolsOf(file)) this.#symbols.set(name, file);
      for (const type of nestedTypes(file)) {
        if (type.kind === "service") this.#services.push(type.typeName);
        if (type.kind === "extension") this.#addExtension(type.extendee.typeName, type.number, file);
      }
    }
  }

  /** Adds both services to a server. */
  addTo(server: Pick<Server, "addService">): void {
    const v1 = serviceDefinition(ServerReflection);
    for (const service of [v1, alphaOf(v1)]) {
      server.addService(service, { serverReflectionInfo: (call: Call) => this.#serve(call) });
    }
  }

  /** The answer to one request. */
  answer(request: ServerReflectionRequest): Response {
    return { validHost: request.host, originalRequest: request, messageResponse: this.#find(request) };
  }

  #serve(call: Call): void {
    call.on("data", (request: ServerReflectionRequest) => {
      if (call.write(this.answer(request))) return;
      call.pause(); // who does not read is not read from
      call.once("drain", () => call.resume());
    });
    call.on("end", () => call.end());
  }

  #find({ messageRequest: { case: kind, value } }: ServerReflectionRequest): MessageResponse {
    switch (kind) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: this.#services.map((name) => ({ name })) } };
      case "fileByFilename":
        return filesResponse(this.#files.get(value), `Proto file not found: ${value}`);
      case "fileContainingSymbol":
        return filesResponse(this.#symbols.get(value), `Symbol not found: ${value}`);
      case "fileContainingExtension":
        return this.#findExtension(value);
      case "allExtensionNumbersOfType": {
        const numbers = this.#extensions.get(value);
        if (numbers === undefined) return notFound(`Extensions not found for symbol ${value}`);
        const extensionNumber = [...numbers.keys()];
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: value, extensionNumber } };
      }
      case undefined:
        return errorResponse(status.UNIMPLEMENTED, `Unimplemented method for request: ${kind}`);
    }
  }

  #findExtension({ containingType, extensionNumber }: ExtensionRequest): MessageResponse {
    const file = this.#extensions.get(containingType)?.get(extensionNumber);
    return filesResponse(file, `Extension not found for symbol ${containingType} at field ${extensionNumber}`);
  }

  #addExtension(extendee: string, number: number, file: DescFile): void {
    const numbers = this.#extensions.get(extendee) ?? new Map<number, DescFile>();
    this.#extensions.set(extendee, numbers.set(number, file));
  }
}

type Call = ServerDuplexStream<ServerReflectionRequest, Response>;

/** The same service under the name that it had before. */
function alphaOf(v1: ServiceDefinition): ServiceDefinition {
  const renamed = (path: string) => path.replace("/grpc.reflection.v1.", "/grpc.reflection.v1alpha.");
  return Object.fromEntries(
    Object.entries(v1).map(([name, method]) => [name, { ...method, path: renamed(method.path) }]),
  );
}

/** A file, and behind it all that it imports, as a reader needs them. */
function filesResponse(file: DescFile | undefined, otherwise: string): MessageResponse {
  if (file === undefined) return notFound(otherwise);
  const files = [file, ...withImports(file.dependencies)];
  return {
    case: "fileDescriptorResponse",
    value: { fileDescriptorProto: files.map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto)) },
  };
}

function notFound(errorMessage: string): MessageResponse {
  return errorResponse(status.NOT_FOUND, errorMessage);
}

function errorResponse(errorCode: status, errorMessage: string): MessageResponse {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/** The files and, each before what imports it, what they import. */
function withImports(files: readonly DescFile[], found = new Set<DescFile>()): Set<DescFile> {
  for (const file of files) {
    withImports(file.dependencies, found);
    found.add(file);
  }
  return found;
}

/** The full names of all that a file defines. The descriptors of the library leave out the entries of maps. */
function* symbolsOf({ proto }: DescFile): Generator<string> {
  const { package: scope, messageType, enumType, service, extension } = proto;
  for (const message of messageType) yield* symbolsOfMessage(scope, message);
  for (const each of enumType) yield* withMembers(scope, each.name, each.value);
  for (const { name, method } of service) yield* withMembers(scope, name, method);
  for (const { name } of extension) yield `${scope}.${name}`;
}

function* symbolsOfMessage(scope: string, message: DescriptorProto): Generator<string> {
  const { name, field, oneofDecl, extension, nestedType, enumType } = message;
  yield* withMembers(scope, name, [...field, ...oneofDecl, ...extension]);
  for (const nested of nestedType) yield* symbolsOfMessage(`${scope}.${name}`, nested);
  for (const each of enumType) yield* withMembers(`${scope}.${name}`, each.name, each.value);
}

/** The full name of a type, and those of what it has. */
function withMembers(scope: string, name: string, members: readonly { readonly name: string }[]): string[] {
  const typeName = `${scope}.${name}`;
  return [typeName, ...members.map((member) => `${typeName}.${member.name}`)];
}
