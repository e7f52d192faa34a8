/**
 * Markdown as `deno fmt` has it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** Formats Markdown as the rest of the repository is. */
export async function formatted(markdown: string): Promise<string> {
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const args = ["fmt", "--quiet", "--ext", "md", "--config", config, "-"];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}
