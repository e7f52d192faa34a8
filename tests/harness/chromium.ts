const EXECUTABLE = "chromium";

/** Whether Debian's chromium is there. */
export const HAS_CHROMIUM: boolean = (() => {
  try {
    return new Deno.Command(EXECUTABLE, { args: ["--version"], stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
})();

type Json = Readonly<Record<string, unknown>>;

/** A tab of a headless Chromium, which is driven by its DevTools protocol. */
export class Tab implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, PromiseWithResolvers<Json>>();
  #loaded = Promise.withResolvers<void>();
  #session = "";
  #calls = 0;
  /** The addresses of all requests so far. */
  readonly requests: string[] = [];
  /** What the page complained of: errors, and whatever its policy forbids. */
  readonly complaints: string[] = [];

  private constructor(process: Deno.ChildProcess, folder: string, socket: WebSocket) {
    this.#process = process;
    this.#folder = folder;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
  }

  /** Opens an empty one. */
  static async open(): Promise<Tab> {
    const folder = await Deno.makeTempDir({ prefix: "mc-proxy-chromium-" });
    const process = new Deno.Command(EXECUTABLE, {
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        `--user-data-dir=${folder}`,
        "about:blank",
      ],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const socket = new WebSocket(await debuggerOf(process.stderr));
    await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
    const tab = new Tab(process, folder, socket);
    const { targetId } = await tab.#call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await tab.#call("Target.attachToTarget", { targetId, flatten: true });
    tab.#session = String(sessionId);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await tab.#call(`${domain}.enable`);
    return tab;
  }

  /** Goes to an address; resolves when the page is loaded. */
  async go(url: string): Promise<void> {
    this.#loaded = Promise.withResolvers();
    await this.#call("Page.navigate", { url });
    await this.#loaded.promise;
  }

  /** The value of an expression in the page; a promise is awaited. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.#call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer["exceptionDetails"] !== undefined) throw new Error(JSON.stringify(answer["exceptionDetails"]));
    return (answer["result"] as Json)["value"];
  }

  /** Presses a key and lets it go: `Tab`, `Enter`. */
  async press(key: "Tab" | "Enter"): Promise<void> {
    const codes = { Tab: 9, Enter: 13 };
    const event = { key, code: key, windowsVirtualKeyCode: codes[key], ...key === "Enter" && { text: "\r" } };
    await this.#call("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.#call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /** Types into whatever has the focus. */
  async type(text: string): Promise<void> {
    await this.#call("Input.insertText", { text });
  }

  /** Makes the page so large, and light or dark. */
  async show(width: number, height: number, scheme: "light" | "dark"): Promise<void> {
    const size = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await this.#call("Emulation.setDeviceMetricsOverride", size);
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.#call("Emulation.setEmulatedMedia", { features });
  }

  /** A picture of the page, as PNG. */
  async screenshot(): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = await this.#call("Page.captureScreenshot", { captureBeyondViewport: true });
    return Uint8Array.from(atob(String(data)), (character) => character.charCodeAt(0));
  }

  #call(method: string, params: Json = {}): Promise<Json> {
    const id = ++this.#calls;
    const answer = Promise.withResolvers<Json>();
    this.#answers.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params, ...this.#session && { sessionId: this.#session } }));
    return answer.promise;
  }

  #receive(message: { id?: number; result?: Json; error?: Json; method?: string; params?: Json }): void {
    const { id, result, error, method, params = {} } = message;
    if (id !== undefined) {
      if (error === undefined) this.#answers.get(id)?.resolve(result ?? {});
      else this.#answers.get(id)?.reject(new Error(JSON.stringify(error)));
      this.#answers.delete(id);
    } else if (method === "Page.loadEventFired") this.#loaded.resolve();
    else if (method === "Network.requestWillBeSent") this.requests.push(String((params["request"] as Json)["url"]));
    else if (method === "Log.entryAdded" || method === "Runtime.exceptionThrown") {
      this.complaints.push(JSON.stringify(params));
    } else if (method === "Runtime.consoleAPICalled") this.complaints.push(JSON.stringify(params["args"]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session = "";
    const closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve, { once: true }));
    this.#call("Browser.close").catch(() => {}); // it may close before it answers
    await closed;
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** The address that Chromium tells when it listens; the rest of its output is read and dropped. */
async function debuggerOf(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  void (async () => {
    let text = "";
    for await (const chunk of stderr.pipeThrough(new TextDecoderStream())) {
      text = (text + chunk).slice(-10_000);
      const url = /DevTools listening on (ws:\S+)\s/.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    }
    reject(new Error(`chromium has ended: ${text}`));
  })();
  return await promise;
}
