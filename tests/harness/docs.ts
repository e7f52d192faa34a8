/** The examples of a document in a language, in order: what stands within its fences. */
export function codeBlocks(text: string, language: string): string[] {
  return Array.from(text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms")), ([, block]) => block ?? "");
}

/** The lines of all its shell examples, in order. */
export function shellLines(text: string): string[] {
  return codeBlocks(text, "sh").flatMap((block) => block.trimEnd().split("\n"));
}
