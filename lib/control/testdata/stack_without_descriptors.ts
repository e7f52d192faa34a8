/**
 * Prints the stack of an error that was thrown while the process had no descriptor left.
 *
 * @module
 */

import { fail } from "./failing.ts";
import { prepareStacks } from "../last_resort.ts";

prepareStacks();
const files: Deno.FsFile[] = [];
try {
  for (;;) files.push(Deno.openSync("/dev/null"));
} catch {
  // There is none left.
}
let stack: string | undefined;
try {
  fail("on purpose");
} catch (error) {
  stack = error instanceof Error ? error.stack : undefined;
}
for (const file of files) file.close();
console.log(stack);
