/**
 * How many descriptors the processes of the benchmark may have.
 *
 * @module
 */

import { readDescriptorLimit } from "./proc.ts";

const RLIMIT_NOFILE = 7;

/**
 * Sees to it that a process that is started from here on may have so many descriptors, by raising the hard limit where
 * that is needed and allowed (root, or CAP_SYS_RESOURCE). Below the hard limit each program raises its own.
 *
 * @throws {Error} If it may not.
 */
export function raiseDescriptorLimit(wanted: number): void {
  const limit = readDescriptorLimit();
  if (limit >= wanted) return;
  const libc = Deno.dlopen("libc.so.6", { setrlimit: { parameters: ["i32", "buffer"], result: "i32" } });
  const both = new BigUint64Array([BigInt(wanted), BigInt(wanted)]); // soft and hard
  const result = libc.symbols.setrlimit(RLIMIT_NOFILE, both);
  libc.close();
  if (result === 0) return;
  throw new Error(
    `a process may have ${limit} descriptors and needs ${wanted}: see ulimit -Hn, or ask for fewer ` +
      "connections with --connections",
  );
}
