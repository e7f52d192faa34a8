/**
 * `ctl firewall`: who is turned away before any routing.
 *
 * @module
 */

import { Argument, type Command } from "commander";
import type { FirewallRule } from "../../admin/client.ts";
import { printable } from "../../control/quote.ts";
import { readRule } from "../../control/requests.ts";
import { addExamples, type Answer, type CtlContext, define } from "./command.ts";
import { formatTable } from "./table.ts";

const RULE_TYPES: readonly FirewallRule["type"][] = ["ip", "cidr", "country"];

/** Adds `firewall` and its subcommands. */
export function addFirewall(parent: Command, context: CtlContext): void {
  const firewall = parent.command("firewall").description("List, add and remove the rules of the firewall.");
  addExamples(firewall, [
    `${context.invocation} firewall list`,
    `${context.invocation} firewall add cidr 198.51.100.0/24`,
  ]);
  define(firewall.command("list").description("List the rules."), context, {
    examples: ["firewall list"],
    run: async ({ client, screen }) => {
      const rules = await client.getFirewallRules();
      const rows = rules.map(({ type, value }) => [type, value]);
      const columns = [{ header: "TYPE" }, { header: "VALUE" }];
      const text = rows.length === 0 ? "no rules\n" : formatTable(columns, rows, screen);
      return { text, json: rules.map(({ type, value }) => ({ type, value })) };
    },
  });
  define(
    ofRule(firewall.command("add")).description("Block an address, a prefix or a country on every listener."),
    context,
    {
      examples: [
        "firewall add ip 192.0.2.66",
        "firewall add cidr 2001:db8:bad::/48",
        "firewall add country KP",
      ],
      run: async ({ client, args }) => {
        const { rule, added } = await client.addFirewallRule(ruleOf(args));
        return answer(added ? "added" : "unchanged", rule);
      },
    },
  );
  define(
    ofRule(firewall.command("remove")).description("Remove a rule."),
    context,
    {
      examples: ["firewall remove ip 192.0.2.66"],
      list: () => ["firewall", "list"],
      run: async ({ client, args }) => {
        const rule = ruleOf(args);
        await client.removeFirewallRule(rule);
        return answer("removed", readRule(rule)); // canonical, as the other answers are
      },
    },
  );
}

function ofRule(command: Command): Command {
  return command
    .addArgument(new Argument("<TYPE>", "what it blocks").choices(RULE_TYPES))
    .argument("<VALUE>", "an address, a prefix, or an ISO 3166-1 alpha-2 country code in upper case");
}

function ruleOf([name, value = ""]: readonly (string | undefined)[]): FirewallRule {
  const type = RULE_TYPES.find((type) => type === name);
  if (type === undefined) throw new TypeError(`${name} was to be refused as an argument`);
  return { type, value };
}

function answer(result: "added" | "unchanged" | "removed", { type, value }: FirewallRule): Answer {
  return { text: `${printable(`${type} ${value}: ${result}`)}\n`, json: { result, rule: { type, value } } };
}
