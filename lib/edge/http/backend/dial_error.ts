/**
 * Why a backend could not be reached.
 *
 * @module
 */

/** See the module. */
export class DialError extends Error {
  override readonly name = "DialError";

  /** @param kind `timeout` is answered with 504, the others with 502. */
  constructor(readonly kind: "unresolved" | "timeout" | "refused" | "unreachable" | "tls", message: string) {
    super(message);
  }
}
