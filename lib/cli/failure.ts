/**
 * Commands that failed.
 *
 * @module
 */

/** Why a command failed, for the user to mend: each line is printed behind the program's name. */
export class Failure extends Error {
  override readonly name = "Failure";

  constructor(readonly lines: readonly string[], options?: ErrorOptions) {
    super(lines.join("\n"), options);
  }
}
