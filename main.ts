import process from "node:process";
import { main } from "./lib/cli/main.ts";
import { programNameOf } from "./lib/cli/program_name.ts";

if (import.meta.main) Deno.exit(await main(Deno.args, { name: programNameOf(process.argv0) }));
