/**
 * Errors of the admin API on the wire: a gRPC status, and which fields are at fault.
 *
 * The fields are a `google.rpc.BadRequest` in a `google.rpc.Status` in the trailer `grpc-status-details-bin`, as every
 * gRPC tool reads it (https://google.aip.dev/193).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { type FieldViolation, Refusal, type RefusalKind } from "../control/refusal.ts";
import { BadRequestSchema } from "./gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "./gen/google/rpc/status_pb.ts";

const DETAILS = "grpc-status-details-bin";

const CODES: Readonly<Record<RefusalKind, status>> = {
  invalid: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  precondition: status.FAILED_PRECONDITION,
  unavailable: status.UNAVAILABLE,
};

/** What to answer to a call that failed. What is not a {@linkcode Refusal} is a fault of ours, and told as no more. */
export function statusOf(error: unknown): Partial<ServiceError> {
  if (!(error instanceof Refusal)) return { code: status.INTERNAL, details: "internal error; the log has more" };
  const code = CODES[error.kind];
  const metadata = new Metadata();
  if (error.violations.length > 0) {
    const request = create(BadRequestSchema, { fieldViolations: [...error.violations] });
    const details = [anyPack(BadRequestSchema, request)];
    const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message: error.message, details }));
    metadata.set(DETAILS, Buffer.from(bytes));
  }
  return { code, details: error.message, metadata };
}

/** The fields at fault that an error carries; none where it carries no details, or not ours. */
export function violationsOf({ metadata }: Pick<ServiceError, "metadata">): readonly FieldViolation[] {
  const [bytes] = metadata.get(DETAILS);
  if (!(bytes instanceof Uint8Array)) return [];
  try {
    const { details } = fromBinary(StatusSchema, bytes);
    return details.flatMap((detail) => anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? [])
      .map(({ field, description }) => ({ field, description }));
  } catch {
    return []; // no such message, so not of our server: the code and the text of the error stand without it
  }
}
