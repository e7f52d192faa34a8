import assert from "node:assert/strict";
import { type HttpPolicy, refusingPolicy } from "./http_policy.ts";

function refuses(type: HttpPolicy["type"], value: string, ...fields: string[]): boolean {
  return refusingPolicy([{ type, value }], fields) !== undefined;
}

Deno.test("block_user_agent looks at every User-Agent of a request", () => {
  assert.ok(refuses("block_user_agent", "BadBot", "user-agent", "BadBot/1.0"));
  assert.ok(refuses("block_user_agent", "BadBot", "user-agent", "curl/8", "accept", "*/*", "user-agent", "a BadBot"));
  assert.ok(refuses("block_user_agent", "BadBot", "user-agent", "", "user-agent", "BadBot"));
  assert.ok(!refuses("block_user_agent", "BadBot", "user-agent", "badbot", "x-agent", "BadBot"));
  assert.ok(!refuses("block_user_agent", "BadBot"));
});

Deno.test("block_user_agent_any_case takes capital and small letters for the same", () => {
  for (const agent of ["BadBot/1.0", "badbot", "a BADBOT b"]) {
    assert.ok(refuses("block_user_agent_any_case", "bAdBot", "user-agent", "curl/8", "user-agent", agent), agent);
  }
  assert.ok(!refuses("block_user_agent_any_case", "BadBot", "user-agent", "Bad Bot"));
  assert.ok(!refuses("block_user_agent_any_case", "BadBot"));
});

Deno.test("require_header refuses a request that has none of the name, in whatever case it is configured", () => {
  assert.ok(!refuses("require_header", "X-Key", "x-key", ""));
  assert.ok(refuses("require_header", "X-Key", "x-key-2", "1"));
});

Deno.test("the first policy that refuses is told", () => {
  const policies = [
    { type: "require_header", value: "accept" },
    { type: "block_user_agent", value: "Bot" },
    { type: "block_user_agent_any_case", value: "bot" },
  ] as const;
  assert.equal(refusingPolicy(policies, ["accept", "*/*", "user-agent", "Bot"]), policies[1]);
  assert.equal(refusingPolicy(policies, ["accept", "*/*", "user-agent", "curl"]), undefined);
  assert.equal(refusingPolicy([], []), undefined);
});
