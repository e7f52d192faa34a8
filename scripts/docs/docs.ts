/**
 * `deno task docs`: writes the pages that are made from the program.
 *
 * @module
 */

import { configPage } from "./config_page.ts";
import { formatted } from "./formatted.ts";

await Deno.writeTextFile(new URL("../../docs/CONFIG.md", import.meta.url), await formatted(configPage()));
