/**
 * The status page for people.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import chart from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import chartStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import style from "./page.css" with { type: "text" };
import html from "./page.html" with { type: "text" };
import script from "./page.js" with { type: "text" };

/** Where what it shows is read, beside it. */
export const STATS_PATH = "/stats.json";

/** The page, and the headers that it needs. */
export interface Page {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The page in one piece: nothing of it comes from elsewhere, and the browser runs nothing but what is in it here.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.match(page().headers["content-security-policy"] ?? "", /^default-src 'none'; script-src 'sha256-/);
 * ```
 */
export function page(): Page {
  const scripts = [chart, script];
  const styles = [chartStyle, style];
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(hash).join(" ")}`,
    `style-src ${styles.map(hash).join(" ")}`,
    "connect-src 'self'",
    "img-src data:", // the icon: without one, browsers ask for /favicon.ico
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    body: html
      .replace("<!-- STYLE -->", () => styles.map((text) => `<style>${text}</style>`).join("\n"))
      .replace("<!-- SCRIPT -->", () => scripts.map((text) => `<script>${text}</script>`).join("\n")),
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy.join("; "),
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    },
  };
}

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(Buffer.from(text)).digest("base64")}'`;
}
