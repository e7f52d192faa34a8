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
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** A service whose methods all take one message and answer with one. */
export type UnaryMethods = Record<
  string,
  { readonly methodKind: "unary"; readonly input: DescMessage; readonly output: DescMessage }
>;

/** What answers the calls of a service. */
export type Handlers<Methods extends UnaryMethods> = {
  readonly [Name in keyof Methods]: (
    request: MessageShape<Methods[Name]["input"]>,
  ) => MessageInitShape<Methods[Name]["output"]> | Promise<MessageInitShape<Methods[Name]["output"]>>;
};

/** A method as grpc-js knows it. */
export function methodDefinition<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  return {
    path: pathOf(method),
    requestStream: false,
    responseStream: false,
    requestSerialize: (message) => encode(method.input, message),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => encode(method.output, message),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** A service as grpc-js knows it, under the names of its methods in TypeScript. */
export function serviceDefinition<Methods extends UnaryMethods>(service: GenService<Methods>): ServiceDefinition {
  return Object.fromEntries(unaryMethods(service).map((method) => [method.localName, methodDefinition(method)]));
}

/** The methods of a service. */
export function unaryMethods(service: DescService): DescMethodUnary[] {
  return service.methods.map((method) => {
    if (isUnary(method)) return method;
    throw new TypeError(`${pathOf(method)} streams`);
  });
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

/** `/mc_proxy.v1.ProxyAdminService/GetStatus`. */
function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** A `Buffer`, not a bare `Uint8Array`: grpc-js copies messages with its methods. */
export function encode<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, message)));
}
