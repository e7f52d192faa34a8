/**
 * Loading a library so that what it lacks is told, and not found out later.
 *
 * @module
 */

const RTLD_NOW = 2;

/** Of glibc since 2.34, of musl, and of older versions of glibc. */
const LIBRARIES = ["libc.so.6", "libc.so", "libdl.so.2"];

const SYMBOLS = {
  dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
  dlerror: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

let linker: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/**
 * Loads a library and binds every symbol that it needs of others: dlopen(3). `Deno.dlopen` alone binds each when it is
 * first called, and the dynamic linker ends the program where there is none: a libssl beside the libcrypto of another
 * build. What is loaded stays.
 *
 * @param path A file, or a name to look for where the system keeps its libraries.
 * @returns Why it cannot be loaded, in the linker's words; `undefined` where it is.
 */
export function bind(path: string): string | undefined {
  const { dlopen, dlerror } = linker ??= openLinker();
  if (dlopen(new TextEncoder().encode(`${path}\0`), RTLD_NOW) !== null) return undefined;
  const reason = dlerror();
  return reason === null ? "no reason given" : Deno.UnsafePointerView.getCString(reason);
}

function openLinker(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  let failure: unknown;
  for (const name of LIBRARIES) {
    try {
      return Deno.dlopen(name, SYMBOLS).symbols;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
