/**
 * libssl and libcrypto: OpenSSL is both, and one is of no use without the other.
 *
 * @module
 */

/** The libcrypto that goes with a libssl by its name; `undefined` where that does not tell. */
export function libcryptoOf(path: string): string | undefined {
  const slash = path.lastIndexOf("/");
  const beside = path.slice(0, slash + 1) + path.slice(slash + 1).replace("libssl", "libcrypto");
  return beside === path ? undefined : beside;
}

/** How glibc and musl say that a library is not there: by its name, or that of the one that it needs. */
const NOT_THERE =
  /^(?:Error loading shared library )?(\S+): (?:cannot open shared object file: )?No such file or directory/;

/**
 * That one of libssl and libcrypto is there without the other, which their names and the linker's words tell apart from
 * that there is none.
 *
 * @param path What was to be loaded.
 * @param reason Why it was not, in the words of the linker.
 * @param load As `bind`.
 */
export function missingHalf(
  path: string,
  reason: string,
  load: (path: string) => string | undefined,
): string | undefined {
  const missing = NOT_THERE.exec(reason)?.[1];
  if (missing === undefined) return undefined;
  const both = "install both, of one build";
  if (missing !== path) return `${path} is there, but ${missing}, which it needs, is not (${reason}); ${both}`;
  const libcrypto = libcryptoOf(path);
  if (libcrypto === undefined || load(libcrypto) !== undefined) return undefined;
  return `${libcrypto} is there, but ${path} is not (${reason}); ${both}`;
}
