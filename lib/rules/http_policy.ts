/**
 * What a request must pass to be forwarded.
 *
 * @module
 */

import type { FieldList } from "../wire/field_list.ts";
import { fieldValue, fieldValues } from "../wire/http_fields.ts";

/** One policy of a route. */
export interface HttpPolicy {
  /**
   * `block_user_agent` refuses a request of which a `User-Agent` contains the value, and `block_user_agent_any_case` does
   * so in whatever case its letters are; `require_header` refuses a request without that header.
   */
  readonly type: "block_user_agent" | "block_user_agent_any_case" | "require_header";
  readonly value: string;
}

/**
 * The first policy that refuses a request.
 *
 * @param fields Names in lower case; all that the request brought of a name is looked at.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const policies = [{ type: "block_user_agent", value: "BadBot" }] as const;
 * assert.equal(refusingPolicy(policies, ["user-agent", "BadBot/1.0"]), policies[0]);
 * assert.equal(refusingPolicy(policies, ["user-agent", "curl/8.0"]), undefined);
 * ```
 */
export function refusingPolicy(policies: readonly HttpPolicy[], fields: FieldList): HttpPolicy | undefined {
  return policies.length === 0 ? undefined : policies.find((policy) => refuses(policy, fields));
}

function refuses({ type, value }: HttpPolicy, fields: FieldList): boolean {
  switch (type) {
    case "block_user_agent":
      return fieldValues(fields, "user-agent").some((agent) => agent.includes(value));
    case "block_user_agent_any_case":
      return fieldValues(fields, "user-agent").some((agent) => agent.toLowerCase().includes(value.toLowerCase()));
    case "require_header":
      return fieldValue(fields, value.toLowerCase()) === undefined;
  }
}
