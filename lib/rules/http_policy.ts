/**
 * What a request must pass to be forwarded.
 *
 * @module
 */

import type { FieldList } from "../wire/field_list.ts";
import { fieldValue } from "../wire/http_fields.ts";

/** One policy of a route. */
export interface HttpPolicy {
  /** `block_user_agent` refuses a `User-Agent` that contains the value, `require_header` a request without that header. */
  readonly type: "block_user_agent" | "require_header";
  readonly value: string;
}

/**
 * The first policy that refuses a request.
 *
 * @param fields Names in lower case. A `User-Agent` is compared letter by letter, the name of a header is not.
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
  return policies.find(({ type, value }) => {
    switch (type) {
      case "block_user_agent":
        return fieldValue(fields, "user-agent")?.includes(value) ?? false;
      case "require_header":
        return fieldValue(fields, value.toLowerCase()) === undefined;
    }
  });
}
