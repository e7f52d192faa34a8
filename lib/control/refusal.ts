/**
 * Why a change at run time was refused.
 *
 * @module
 */

/**
 * How many wrong fields are told at once, and in how many characters each and together: they travel in HTTP/2 trailers
 * twice, the second time in base64, and many a gRPC client takes 8 KiB of those.
 */
const MAX_VIOLATIONS = 12;
const MAX_DESCRIPTION = 500;
const MAX_TOGETHER = 2_000;

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

  /** Wrong fields, one at least; of many, the first are told, and of a long description its beginning. */
  static invalid(violations: readonly FieldViolation[]): Refusal {
    const told: FieldViolation[] = [];
    const lines: string[] = [];
    let length = 0;
    for (const { field, description } of violations.slice(0, MAX_VIOLATIONS)) {
      const short = shorten(description);
      const line = `${field}: ${short}`;
      if (told.length > 0 && length + line.length > MAX_TOGETHER) break;
      told.push({ field, description: short });
      lines.push(line);
      length += line.length;
    }
    if (violations.length > told.length) lines.push(`and ${violations.length - told.length} more`);
    return new Refusal("invalid", lines.join("; "), told);
  }
}

/** Cuts out the middle of a text that is too long: what is wrong stands at its end, what it is about at its beginning. */
function shorten(text: string): string {
  if (text.length <= MAX_DESCRIPTION) return text;
  const half = MAX_DESCRIPTION / 2;
  return `${text.slice(0, half)}…${text.slice(-half)}`.replaceAll(LONE_SURROGATE, "");
}

// What is left of a character that was cut in two.
const LONE_SURROGATE = /\p{Surrogate}/gu;
