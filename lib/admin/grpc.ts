/**
 * Generated services and messages on grpc-js.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** A method that takes one message, and answers with one or with a stream of them. */
export type ServedMethod<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage> =
  | DescMethodUnary<I, O>
  | DescMethodServerStreaming<I, O>;

/** The methods of a service, by their names in TypeScript. */
export type ServedMethods = Record<
  string,
  { readonly methodKind: "unary" | "server_streaming"; readonly input: DescMessage; readonly output: DescMessage }
>;

/** What answers one call. */
type Unary<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
) => MessageInitShape<O> | Promise<MessageInitShape<O>>;

/**
 * What answers one call with a stream, which is asked for its next message when the client has room for it.
 *
 * @param signal Aborted when nobody wants more; the stream then ends.
 */
type Streaming<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  signal: AbortSignal,
) => AsyncIterable<MessageInitShape<O>>;

/** What answers the calls of a service. */
export type Handlers<Methods extends ServedMethods> = {
  readonly [Name in keyof Methods]: Methods[Name]["methodKind"] extends "unary"
    ? Unary<Methods[Name]["input"], Methods[Name]["output"]>
    : Streaming<Methods[Name]["input"], Methods[Name]["output"]>;
};

/** A method as grpc-js knows it. */
export function methodDefinition<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { readonly input: I; readonly output: O },
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  const { methodKind } = method;
  return {
    path: pathOf(method),
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: (message) => encode(method.input, message),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => encode(method.output, message),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** A service as grpc-js knows it, under the names of its methods in TypeScript. */
export function serviceDefinition({ methods }: DescService): ServiceDefinition {
  return Object.fromEntries(methods.map((method) => [method.localName, methodDefinition(method)]));
}

/**
 * The methods of a service, each of which takes one message.
 *
 * @throws {TypeError} If one takes a stream.
 */
export function servedMethods(service: DescService): ServedMethod[] {
  return service.methods.map((method) => {
    if (isServed(method)) return method;
    throw new TypeError(`${pathOf(method)} takes a stream`);
  });
}

function isServed(method: DescMethod): method is ServedMethod {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}

/** `/mc_proxy.v1.ProxyAdminService/GetStatus`. */
function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** A `Buffer`, not a bare `Uint8Array`: grpc-js copies messages with its methods. */
export function encode<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, message)));
}
