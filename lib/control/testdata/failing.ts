/** Throws, in a file of which no stack was told before, and whose statements nest. */
export function fail(reason: string): never {
  if (reason === "") throw new TypeError("there is none");
  throw new Error(reason);
}
