/**
 * Why a change at run time was refused.
 *
 * @module
 */

/**
 * How many wrong fields are told at once: they travel in HTTP/2 trailers, of which many a gRPC client takes 8 KiB and
 * node:http2 sends 64 KiB.
 */
const MAX_VIOLATIONS = 12;

/** A field of a request that is wrong. */
export interface FieldViolation {
  /** `listener_addr`, `route.backend`, `route.l7_policies[2].value`. */
  readonly field: string;
  /** What is wrong and what would be right, in one line. */
  readonly description: string;
}

/**
 * What keeps a change from being made.
 *
 * - `invalid`: a field of the request is wrong.
 * - `not_found`: what it is about is not there.
 * - `precondition`: the server, as it is configured, lacks what the change needs.
 * - `unavailable`: the database cannot be written, a worker does not confirm the change, or the server is shutting down.
 */
export type RefusalKind = "invalid" | "not_found" | "precondition" | "unavailable";

/** A change that was not made; everything is as it was. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  /** @param violations The fields at fault, where the kind is `invalid`. */
  constructor(
    readonly kind: RefusalKind,
    message: string,
    readonly violations: readonly FieldViolation[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Wrong fields, one at least; of many, the first are told. */
  static invalid(violations: readonly FieldViolation[]): Refusal {
    const told = violations.slice(0, MAX_VIOLATIONS);
    const lines = told.map(({ field, description }) => `${field}: ${description}`);
    if (violations.length > told.length) lines.push(`and ${violations.length - told.length} more`);
    return new Refusal("invalid", lines.join("; "), told);
  }
}
