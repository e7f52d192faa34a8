/**
 * `ctl policies`: what the requests of an L7 route must pass.
 *
 * @module
 */

import { Argument, type Command } from "commander";
import { L7_POLICY_TYPES, type L7PolicyConfig } from "../../control/config_types.ts";
import { printable } from "../../control/quote.ts";
import { readHostname } from "../../control/requests.ts";
import { addExamples, type Answer, type CtlContext, define } from "./command.ts";
import { formatTable } from "./table.ts";

/** Adds `policies` and its subcommands. */
export function addPolicies(parent: Command, context: CtlContext): void {
  const policies = parent.command("policies").description("List, add and remove the HTTP policies of an L7 route.");
  addExamples(policies, [
    `${context.invocation} policies list :443 www.example.net`,
    `${context.invocation} policies add :443 www.example.net block_user_agent BadBot`,
  ]);
  define(
    ofRoute(policies.command("list")).description(
      "List the policies of a route, in the order in which they are tried.",
    ),
    context,
    {
      examples: ["policies list :443 www.example.net"],
      list: ([listener]) => ["routes", "list", listener],
      run: async ({ client, args: [listener = "", hostname = ""], screen }) => {
        const found = await client.listL7Policies(listener, hostname);
        const rows = found.map(({ type, value }) => [type, value]);
        const none = `no policies of ${printable(readHostname(hostname))} on ${printable(listener)}\n`;
        const text = rows.length === 0 ? none : formatTable([{ header: "TYPE" }, { header: "VALUE" }], rows, screen);
        return { text, json: found.map(({ type, value }) => ({ type, value })) };
      },
    },
  );
  define(
    ofPolicy(policies.command("add")).description("Add a policy behind those of a route."),
    context,
    {
      examples: [
        "policies add :443 www.example.net block_user_agent BadBot",
        "policies add :443 www.example.net require_header X-Key",
      ],
      list: ([listener]) => ["routes", "list", listener],
      run: async ({ client, args }) => {
        const isNew = await client.addL7Policy(args[0] ?? "", args[1] ?? "", policyOf(args));
        return answer(isNew ? "added" : "unchanged", args);
      },
    },
  );
  define(
    ofPolicy(policies.command("remove")).description("Remove a policy of a route."),
    context,
    {
      examples: ["policies remove :443 www.example.net require_header X-Key"],
      list: ([listener, hostname]) => ["policies", "list", listener, hostname],
      run: async ({ client, args }) => {
        await client.removeL7Policy(args[0] ?? "", args[1] ?? "", policyOf(args));
        return answer("removed", args);
      },
    },
  );
}

type Arguments = readonly (string | undefined)[];

function ofRoute(command: Command): Command {
  return command.argument("<LISTENER>", 'its addr as configured, such as ":443"')
    .argument("<HOST>", "the host name of the route");
}

function ofPolicy(command: Command): Command {
  return ofRoute(command)
    .addArgument(new Argument("<TYPE>", "what it does").choices(L7_POLICY_TYPES))
    .argument("<VALUE>", "part of a User-Agent, or the name of a header");
}

function policyOf([, , name, value = ""]: Arguments): L7PolicyConfig {
  const type = L7_POLICY_TYPES.find((type) => type === name);
  if (type === undefined) throw new TypeError(`${name} was to be refused as an argument`);
  return { type, value };
}

function answer(result: "added" | "unchanged" | "removed", args: Arguments): Answer {
  const [listener = "", given = ""] = args;
  const hostname = readHostname(given); // canonical, as the other answers are
  const policy = policyOf(args);
  return {
    text: `${printable(`${policy.type} ${policy.value} of ${hostname} on ${listener}: ${result}`)}\n`,
    json: { result, listener, hostname, policy },
  };
}
