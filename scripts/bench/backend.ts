/**
 * The backend of the benchmark, as a process of its own: a listener for each behaviour, the ports as one line of JSON on
 * standard output. It runs until standard input ends.
 *
 * @module
 */

import { accept, close, listen, Poller, READABLE, receive, RESET, send, WOULD_BLOCK, WRITABLE } from "./libc.ts";
import { ANSWER_LENGTH, type Behaviour, HELLO_LENGTH } from "./protocol.ts";

/** The port of each listener. */
export type BackendPorts = Readonly<Record<Behaviour, number>>;

const STDIN = 0;
const CHUNK = new Uint8Array(256 * 1024);
const ANSWER = new Uint8Array(ANSWER_LENGTH);

if (import.meta.main) serve();

function serve(): void {
  const buffer = new Uint8Array(64 * 1024);
  const poller = new Poller();
  const listeners = { echo: listen(), flood: listen(), answer: listen() };
  const behaviours: (Behaviour | undefined)[] = []; // by descriptor, as are the bytes received before the flood or answer
  const received: number[] = [];
  let running = true;

  const take = (listener: number, behaviour: Behaviour) => {
    const fd = accept(listener);
    behaviours[fd] = behaviour;
    received[fd] = 0;
    poller.add(fd, READABLE);
  };

  const end = (fd: number) => {
    behaviours[fd] = undefined;
    close(fd);
  };

  const echo = (fd: number) => {
    const n = receive(fd, buffer);
    if (n === WOULD_BLOCK) return;
    // A client waits for each message's echo, so there is room for it unless the client breaks the rules.
    if (n <= 0 || send(fd, buffer, n) !== n) end(fd);
  };

  /** Whether the ClientHello is all there; nothing of it may stay unread, or close(2) would send a reset. */
  const hasHello = (fd: number): boolean => {
    const n = receive(fd, buffer);
    if (n === 0 || n === RESET) end(fd);
    if (n <= 0) return false;
    return (received[fd] = (received[fd] ?? 0) + n) >= HELLO_LENGTH;
  };

  const flood = (fd: number) => {
    if ((received[fd] ?? 0) >= HELLO_LENGTH) {
      if (send(fd, CHUNK) === RESET) end(fd);
    } else if (hasHello(fd)) poller.change(fd, WRITABLE);
  };

  const answer = (fd: number) => {
    if (!hasHello(fd)) return;
    send(fd, ANSWER);
    end(fd);
  };

  const onReady = (fd: number) => {
    if (fd === listeners.answer.fd) return take(fd, "answer");
    if (fd === listeners.echo.fd) return take(fd, "echo");
    if (fd === listeners.flood.fd) return take(fd, "flood");
    if (fd === STDIN) return void (running = false);
    switch (behaviours[fd]) {
      case "echo":
        return echo(fd);
      case "flood":
        return flood(fd);
      case "answer":
        return answer(fd);
    }
  };

  poller.add(STDIN, READABLE);
  for (const { fd } of Object.values(listeners)) poller.add(fd, READABLE);
  const { echo: { port: echoPort }, flood: { port: floodPort }, answer: { port: answerPort } } = listeners;
  const ports: BackendPorts = { echo: echoPort, flood: floodPort, answer: answerPort };
  console.log(JSON.stringify(ports));
  while (running) poller.wait(-1, onReady);
}
