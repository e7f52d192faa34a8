/**
 * Variables of the environment.
 *
 * @module
 */

/** A variable, where it is set and may be read; no permission is asked for. */
export function readVariable(name: string): string | undefined {
  const isReadable = Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
  return isReadable ? Deno.env.get(name) : undefined;
}
