/**
 * Looking at what a configuration says of the engine, as a start does.
 *
 * @module
 */

import { LibsslError } from "../edge/linux/libssl/library.ts";
import { RUNTIME_TLS } from "../edge/portable/tls_library.ts";
import type { CertificateTrial } from "./certificates.ts";
import type { Findings } from "./config_rules.ts";
import type { Config, ConfigProblem } from "./config_types.ts";
import { chooseEngine, type EngineChoice } from "./engine_choice.ts";
import { ignoredByPortable } from "./ignored.ts";

/** What was found. */
export interface Examination {
  /** `undefined` where none can run: the problems say why. */
  readonly engine: EngineChoice | undefined;
  /** What the engine's library makes of certificates; where there is none, that of the runtime. */
  readonly trial: CertificateTrial;
  readonly findings: Findings;
}

/** Looks at what a configuration says of the engine; nothing is written. */
export function examineEngine(config: Pick<Config, "proxy">): Examination {
  const reading = chooseEngine(config.proxy);
  if (reading.kind === "wrong") {
    const findings = { problems: [...reading.problems], warnings: [] };
    return { engine: undefined, trial: RUNTIME_TLS.certificateProblem, findings };
  }
  const { engine } = reading;
  const findings = { problems: [], warnings: engineWarnings(config, engine) };
  return { engine, trial: engine.tls.certificateProblem, findings };
}

function engineWarnings(config: Pick<Config, "proxy">, { name, obstacle }: EngineChoice): ConfigProblem[] {
  if (name === "epoll") return [];
  const isMissing = obstacle instanceof LibsslError;
  const message = `"auto" is the portable engine here: ${obstacle?.message ?? ""}`;
  return [...isMissing ? [{ path: "proxy.engine", message }] : [], ...ignoredByPortable(config)];
}
