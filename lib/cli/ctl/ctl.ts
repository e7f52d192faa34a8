/**
 * `mc-proxy ctl`, which is also the program `mcproxyctl`: run-time administration.
 *
 * @module
 */

import type { Command } from "commander";
import { addExamples, type CtlContext } from "./command.ts";
import { addApply, addDiff } from "./apply.ts";
import { addExport } from "./export.ts";
import { addFirewall } from "./firewall.ts";
import { addListeners } from "./listeners.ts";
import { addPolicies } from "./policies.ts";
import { addRoutes } from "./routes.ts";
import { addServerOptions } from "./server_option.ts";
import { addHealth, defineStatus } from "./status.ts";
import { addTop } from "./top.ts";

/** Makes `command`, a new one, that which administers a running server. */
export function defineCtl(command: Command, context: CtlContext): void {
  addServerOptions(command)
    .description("Administer a running server: what is changed is stored and in effect at once.");
  const examples = [
    "status -c /srv/mc-proxy/config.toml",
    "routes add :443 git.example.net 127.0.0.1:18443",
    "firewall add cidr 198.51.100.0/24",
    "listeners set-max-connections :443 5000",
  ];
  addExamples(command, examples.map((example) => `${context.invocation} ${example}`));
  defineStatus(command.command("status"), context);
  addHealth(command, context);
  addTop(command, context);
  addRoutes(command, context);
  addPolicies(command, context);
  addFirewall(command, context);
  addListeners(command, context);
  addDiff(command, context);
  addApply(command, context);
  addExport(command, context);
}
