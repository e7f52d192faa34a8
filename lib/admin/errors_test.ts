import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import { Refusal, type RefusalKind } from "../control/refusal.ts";
import { statusOf, violationsOf } from "./errors.ts";
import { BadRequestSchema } from "./gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "./gen/google/rpc/status_pb.ts";

const DETAILS = "grpc-status-details-bin";

function metadataOf(error: unknown): Metadata {
  return statusOf(error).metadata ?? new Metadata();
}

Deno.test("each kind of refusal has its gRPC code, and its message as it is", () => {
  const codes: Readonly<Record<RefusalKind, status>> = {
    invalid: status.INVALID_ARGUMENT,
    not_found: status.NOT_FOUND,
    precondition: status.FAILED_PRECONDITION,
    unavailable: status.UNAVAILABLE,
  };
  for (const [kind, code] of Object.entries(codes)) {
    const { code: found, details } = statusOf(new Refusal(kind as RefusalKind, 'no route "é"'));
    assert.deepEqual([found, details], [code, 'no route "é"']);
  }
});

Deno.test("the fields at fault come back as they were", () => {
  const violations = [
    { field: "route.hostname", description: '"é\\u0000" is no host name pattern' },
    { field: "route.l7_policies[2].value", description: "" },
  ];
  const error = Refusal.invalid(violations);
  assert.deepEqual(violationsOf({ metadata: metadataOf(error) }), violations);
  assert.equal(
    statusOf(error).details,
    'route.hostname: "é\\u0000" is no host name pattern; route.l7_policies[2].value: ',
  );
});

Deno.test("a refusal without fields carries no details", () => {
  const metadata = metadataOf(new Refusal("not_found", "there is no route"));
  assert.deepEqual(metadata.get(DETAILS), []);
  assert.deepEqual(violationsOf({ metadata }), []);
});

Deno.test("what is not a refusal is a fault of ours, of which a client is told no more", () => {
  for (
    const error of [new TypeError("secret"), "secret", undefined, new Error("secret", { cause: Refusal.invalid([]) })]
  ) {
    assert.deepEqual(statusOf(error), { code: status.INTERNAL, details: "internal error; the log has more" });
  }
});

Deno.test("details that another server may send are passed over, sound or not", () => {
  const other = anyPack(StatusSchema, create(StatusSchema, { message: "of another type" }));
  const ours = anyPack(
    BadRequestSchema,
    create(BadRequestSchema, { fieldViolations: [{ field: "f", description: "d" }] }),
  );
  const details = (...packed: (typeof ours)[]) => toBinary(StatusSchema, create(StatusSchema, { details: packed }));
  const broken = { ...ours, value: Uint8Array.of(0x0a, 0xff) };
  for (
    const [bytes, expected] of [
      [details(other), []],
      [details(other, ours), [{ field: "f", description: "d" }]],
      [details(), []],
      [new Uint8Array(), []],
      [Uint8Array.of(0xff, 0xff, 0xff), []],
      [details(broken), []],
    ] as const
  ) {
    const metadata = new Metadata();
    metadata.set(DETAILS, Buffer.from(bytes));
    assert.deepEqual(violationsOf({ metadata }), expected);
  }
});

Deno.test("however many fields are wrong, the trailers stay within what gRPC clients take, 8 KiB", () => {
  const description = `${JSON.stringify("x".repeat(80))} is no host name pattern; write for example "git.example.net"`;
  const violations = Array.from({ length: 5000 }, (_, i) => ({ field: `route.l7_policies[${i}].value`, description }));
  const error = Refusal.invalid(violations);
  const found = violationsOf({ metadata: metadataOf(error) });
  assert.ok(found.length >= 10);
  assert.deepEqual(found, violations.slice(0, found.length));
  assert.ok(error.message.endsWith(`; and ${5000 - found.length} more`), error.message.slice(-100));
  const [details] = metadataOf(error).get(DETAILS);
  assert.ok(error.message.length + (details?.length ?? 0) * 4 / 3 < 8192);
});
