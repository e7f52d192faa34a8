/**
 * The public keys that a backend may have: `backend_pins`.
 *
 * @module
 */

import type { HttpRoute } from "../../snapshot.ts";
import { DialError } from "./dial_error.ts";

/** What of a backend's settings is about its key. */
export type PinSettings = Pick<HttpRoute, "backendPins" | "backendCa">;

/**
 * Whether the key alone vouches for a backend, whatever its certificate says of names, dates and issuers, as with
 * DANE-EE (RFC 7671 §5.1). With `backend_ca`, chain and name are verified as well.
 */
export function isPinAlone({ backendPins, backendCa }: PinSettings): boolean {
  return backendPins.length > 0 && backendCa === "";
}

/**
 * Compares the key that a backend has proved to hold with those that it may have.
 *
 * @param name Of the backend, for people.
 * @param present Tells its pin, `sha256/BASE64`; `undefined` where it has shown no certificate.
 * @returns Why nothing may be sent to it; `undefined` where it is one of them, or any may be.
 */
export function refusedPin(
  { backendPins }: PinSettings,
  name: string,
  present: () => string | undefined,
): DialError | undefined {
  if (backendPins.length === 0) return undefined;
  const presented = present();
  if (presented !== undefined && backendPins.includes(presented)) return undefined;
  const shown = presented === undefined ? "has shown no certificate" : `has the public key ${presented}`;
  return new DialError("tls", `${name} ${shown}, and backend_pins allows ${backendPins.join(", ")}`);
}
