import { AdminClient } from "../../mod.ts";
import { Proxy, type ProxyConfig, type ProxyOptions } from "./proxy.ts";

/** A proxy with an admin API, and a client of it. */
export interface Administered extends AsyncDisposable {
  readonly proxy: Proxy;
  readonly admin: AdminClient;
  /** The path of the socket. */
  readonly socket: string;
  /** The listener's `addr` as configured. */
  readonly addr: string;
}

/** The one listener of {@linkcode administered}. */
export const ADDR = "127.0.0.1:0";

/** Starts a proxy with one listener, with these routes, and the admin API. */
export async function administered(
  routes: readonly Readonly<Record<string, unknown>>[] = [],
  config: ProxyConfig = {},
  options: ProxyOptions = {},
): Promise<Administered> {
  const folder = options.folder ?? Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const socket = `${folder}/admin.sock`;
  const proxy = await Proxy.start({ listeners: [{ addr: ADDR, routes }], grpc: { addr: socket }, ...config }, {
    ...options,
    folder,
  });
  const admin = new AdminClient(socket);
  return {
    proxy,
    admin,
    socket,
    addr: ADDR,
    async [Symbol.asyncDispose]() {
      admin.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}
