/**
 * The backend of the HTTP rows, as a process of its own: a listener for each behaviour, the ports as one line of JSON on
 * standard output. It runs until standard input ends. Its arguments are the files of its certificate and key.
 *
 * It does not look at requests beyond their frames: what is sent to a listener is answered in that listener's way.
 *
 * @module
 */

import { Http1Peer, Http2Peer, type Socket } from "./http_peers.ts";
import type { HttpBehaviour } from "./http_protocol.ts";
import { accept, close, listen, Poller, READABLE, receive, send, WRITABLE } from "./libc.ts";
import { TlsServerContext } from "./libssl_server.ts";

/** The port of each listener. */
export type HttpBackendPorts = Readonly<Record<HttpBehaviour, number>>;

const STDIN = 0;

/** What is spoken on a listener, and what is answered. */
interface Listener {
  readonly fd: number;
  readonly port: number;
  readonly behaviour: HttpBehaviour;
  readonly http1: boolean;
  readonly tls?: TlsServerContext;
}

if (import.meta.main) serve(Deno.args[0] ?? "", Deno.args[1] ?? "");

function serve(cert: string, key: string): void {
  const poller = new Poller();
  const listeners: readonly Listener[] = [
    { behaviour: "small", http1: false, ...listen() },
    { behaviour: "grpc", http1: false, ...listen() },
    { behaviour: "body", http1: false, ...listen() },
    { behaviour: "small1", http1: true, ...listen() },
    { behaviour: "body1", http1: true, ...listen() },
    { behaviour: "smallTls", http1: false, tls: new TlsServerContext(cert, key, "h2"), ...listen() },
    { behaviour: "small1Tls", http1: true, tls: new TlsServerContext(cert, key, "http/1.1"), ...listen() },
  ];
  const byDescriptor = new Map(listeners.map((listener) => [listener.fd, listener]));
  const peers: (Http1Peer | Http2Peer | undefined)[] = []; // by descriptor
  let running = true;
  for (const { fd } of listeners) poller.add(fd, READABLE);
  poller.add(STDIN, READABLE);
  console.log(JSON.stringify(Object.fromEntries(listeners.map(({ behaviour, port }) => [behaviour, port]))));
  while (running) {
    poller.wait(-1, (fd, events) => {
      if (fd === STDIN) return void (running = false);
      const listener = byDescriptor.get(fd);
      if (listener !== undefined) {
        const accepted = accept(fd);
        const { behaviour, http1, tls } = listener;
        const socket = tls === undefined ? plainSocket(accepted) : tls.accept(accepted);
        peers[accepted] = new (http1 ? Http1Peer : Http2Peer)(socket, poller, behaviour);
        return;
      }
      if ((events & WRITABLE) !== 0) peers[fd]?.onWritable();
      if ((events & READABLE) !== 0) peers[fd]?.onReadable();
    });
  }
}

function plainSocket(fd: number): Socket {
  return {
    fd,
    read: (buffer) => receive(fd, buffer),
    send: (bytes) => send(fd, bytes),
    close: () => close(fd),
  };
}
