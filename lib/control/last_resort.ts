/**
 * What becomes of a fault that nobody handles, and of one that is told when the process is out of descriptors.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";

/** A program whose parser looks how much stack is left: it does so for statements that may nest. */
const NESTING = "if (true) { }";

/**
 * Has the runtime find out where the stack of the main thread ends, for which it needs a descriptor, and does so once.
 *
 * The stack of an error names lines of TypeScript, for which Deno 2.9.6 reads its cached translation of the file. Where it
 * has no descriptor for that, it translates the file anew, looks how much stack is left, and aborts where it cannot read
 * `/proc/self/maps`: the first error that is told without a descriptor would end the program.
 */
export function prepareStacks(): void {
  stripTypeScriptTypes(NESTING);
}

/**
 * Has faults that nobody handles reported, rejected promises and errors thrown in callbacks; without this, the runtime
 * ends the program over the first one, and every connection with it.
 *
 * It is the last resort: whoever begins something in the background handles how that ends.
 *
 * @returns What ends this.
 */
export function reportUnhandled(report: (thrown: unknown) => void): Disposable {
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    report(event.reason);
  };
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    report(event.error ?? event.message);
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  globalThis.addEventListener("error", onError);
  return {
    [Symbol.dispose]() {
      globalThis.removeEventListener("unhandledrejection", onRejection);
      globalThis.removeEventListener("error", onError);
    },
  };
}
