/**
 * Groups of the system's users.
 *
 * @module
 */

import { fileErrorReason } from "./file_access.ts";
import { quote } from "./quote.ts";

const GROUPS = "/etc/group";

/** The number of a group, or why there is none, in one line. */
export type GroupReading =
  | { readonly kind: "ok"; readonly gid: number }
  | { readonly kind: "wrong"; readonly message: string };

/**
 * Looks a group up by its name, in the file that group(5) describes; a number stands for itself. Groups of other sources
 * (LDAP) can be named by their numbers.
 *
 * @param text A name or a number, as `[grpc] group` takes it.
 * @param file Instead of `/etc/group`.
 */
export function readGroup(text: string, file = GROUPS): GroupReading {
  if (/^\d+$/.test(text)) return { kind: "ok", gid: Number(text) };
  try {
    for (const line of Deno.readTextFileSync(file).split("\n")) {
      const [name, , gid] = line.split(":");
      if (name === text && gid !== undefined && /^\d+$/.test(gid)) return { kind: "ok", gid: Number(gid) };
    }
    const message = `${quote(text)} is no group of ${file}; make it (groupadd), or write its number (getent group)`;
    return { kind: "wrong", message };
  } catch (error) {
    return { kind: "wrong", message: `${file}: ${fileErrorReason(error)}; write the number of the group` };
  }
}
