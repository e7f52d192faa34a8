/**
 * What becomes of a fault that nobody handles.
 *
 * @module
 */

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
