/**
 * Which engine serves, and what it speaks TLS with.
 *
 * @module
 */

import { Libc, LibcError } from "../edge/linux/libc.ts";
import { LibsslError } from "../edge/linux/libssl/library.ts";
import { readLibrary } from "../edge/linux/tls_library.ts";
import { RUNTIME_TLS } from "../edge/portable/tls_library.ts";
import type { TlsLibrary } from "../edge/tls_library.ts";
import type { Config, ConfigProblem } from "./config_types.ts";

/** The engines that there are. */
export type EngineName = "epoll" | "portable";

/** An engine that can run here. */
export interface EngineChoice {
  readonly name: EngineName;
  readonly tls: TlsLibrary;
  /** Why the epoll engine cannot run, where it would have been chosen. */
  readonly obstacle: LibcError | LibsslError | undefined;
}

/** The engine, or why there is none. */
export type EngineReading =
  | { readonly kind: "ok"; readonly engine: EngineChoice }
  | { readonly kind: "wrong"; readonly problems: readonly ConfigProblem[] };

/**
 * Chooses the engine that is wanted. `auto` is the epoll engine where it can run: on Linux, where Deno may call libc, and
 * there is a libssl that can be used. A libssl that the file names is used or is an error: whoever names one relies on it.
 */
export function chooseEngine({ engine: wanted, tls }: Pick<Config["proxy"], "engine" | "tls">): EngineReading {
  if (wanted === "portable") return portable(undefined);
  try {
    new Libc();
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    return wanted === "epoll" ? impossible(error.message) : portable(error);
  }
  try {
    const reading = readLibrary(tls);
    if (reading.kind === "ok") {
      return { kind: "ok", engine: { name: "epoll", tls: reading.library, obstacle: undefined } };
    }
    return wrong(reading.problems.map(({ key, message }) => ({ path: `proxy.${key}`, message })));
  } catch (error) {
    if (!(error instanceof LibsslError)) throw error;
    if (tls.libssl !== "") {
      const remedy = 'name another one, or none for the system\'s, or set engine = "portable"';
      return wrong([{ path: "proxy.libssl", message: `${error.message}; ${remedy}` }]);
    }
    return wanted === "epoll" ? impossible(error.message) : portable(error);
  }
}

function portable(obstacle: EngineChoice["obstacle"]): EngineReading {
  return { kind: "ok", engine: { name: "portable", tls: RUNTIME_TLS, obstacle } };
}

function impossible(reason: string): EngineReading {
  return wrong([{ path: "proxy.engine", message: `"epoll" cannot run here: ${reason}; use "auto" or "portable"` }]);
}

function wrong(problems: readonly ConfigProblem[]): EngineReading {
  return { kind: "wrong", problems };
}
