/** What a program of the system's left. */
export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const FOLDERS = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");

/** Whether a program of this name is in one of the folders of `PATH`. */
export function isInstalled(program: string): boolean {
  return FOLDERS.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch {
      return false; // not there
    }
  });
}

/** Runs a program of the system's to its end. */
export async function runTool(program: string, args: readonly string[]): Promise<ToolResult> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
