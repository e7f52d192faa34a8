/**
 * Looking at a whole configuration as a start does: the engine that it would have, and the files that it names.
 *
 * @module
 */

import { LibsslError } from "../edge/linux/libssl/library.ts";
import { RUNTIME_TLS } from "../edge/portable/tls_library.ts";
import { checkFiles, type FileFindings } from "./config_files.ts";
import type { Config, ConfigProblem } from "./config_types.ts";
import { chooseEngine, type EngineChoice } from "./engine_choice.ts";
import { ignoredByPortable } from "./ignored.ts";

/** What was found. */
export interface Examination {
  /** `undefined` where none can run: the problems say why. */
  readonly engine: EngineChoice | undefined;
  readonly findings: FileFindings;
}

/**
 * Looks at a configuration; nothing is written.
 *
 * @param now When certificates are to be valid.
 */
export function examine(config: Config, now = new Date()): Examination {
  const reading = chooseEngine(config.proxy);
  if (reading.kind === "wrong") {
    const files = checkFiles(config, RUNTIME_TLS.certificateProblem, now);
    return { engine: undefined, findings: { ...files, problems: [...reading.problems, ...files.problems] } };
  }
  const { engine } = reading;
  const files = checkFiles(config, engine.tls.certificateProblem, now);
  return { engine, findings: { ...files, warnings: [...engineWarnings(config, engine), ...files.warnings] } };
}

function engineWarnings(config: Config, { name, obstacle }: EngineChoice): ConfigProblem[] {
  if (name === "epoll") return [];
  const isMissing = obstacle instanceof LibsslError;
  const message = `"auto" is the portable engine here: ${obstacle?.message ?? ""}`;
  return [...isMissing ? [{ path: "proxy.engine", message }] : [], ...ignoredByPortable(config)];
}
