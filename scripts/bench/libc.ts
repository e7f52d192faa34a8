/**
 * TCP over the loopback and epoll, straight from libc: what the load generator and its backend are made of, so that
 * they cost less than the proxies between them.
 *
 * Linux only. This is the measuring instrument and shares no code with the proxy. Results are declared `i32` and lengths
 * `u32`, though libc says `ssize_t` and `size_t`: 64-bit results come as BigInt, which costs more than the call.
 *
 * @module
 */

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  setpriority: { parameters: ["i32", "u32", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
});

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IP = 0;
const IP_BIND_ADDRESS_NO_PORT = 24;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_TRUNC = 0x20; // tcp(7): received bytes are dropped, not copied
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const FIONBIO = 0x5421;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const PRIO_PROCESS = 0;
const NICENESS = 5;
const EINTR = 4;
const EAGAIN = 11;
const EPIPE = 32;
const ECONNRESET = 104;

/** What {@linkcode receive}, {@linkcode discard}, {@linkcode send} and {@linkcode accept} give where they would wait. */
export const WOULD_BLOCK = -1;
/** What {@linkcode receive}, {@linkcode discard} and {@linkcode send} give where the peer has broken the connection. */
export const RESET = -2;

/** epoll(7): there is something to read, the end of the stream included. */
export const READABLE = 1;
/** epoll(7): there is room to write. */
export const WRITABLE = 4;

const LOOPBACK = 0x7f000001; // 127.0.0.1
const ON = new Uint8Array(Int32Array.of(1).buffer);
const errnoAt = libc.__errno_location();
if (errnoAt === null) throw new Error("libc gives no address of errno");
const errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(errnoAt, 4));

function fail(call: string): never {
  throw new Error(`${call}: errno ${errno[0]}`);
}

function succeed(result: number, call: string): number {
  return result < 0 ? fail(call) : result;
}

/** A `sockaddr_in`, ip(7). */
function socketAddress(ip: number, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  view.setUint32(4, ip);
  return bytes;
}

/** Listens on a free port of 127.0.0.1. */
export function listen(): { readonly fd: number; readonly port: number } {
  const fd = succeed(libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  succeed(libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ON, 4), "SO_REUSEADDR");
  const address = socketAddress(LOOPBACK, 0);
  succeed(libc.bind(fd, address, 16), "bind");
  succeed(libc.listen(fd, 4096), "listen");
  succeed(libc.getsockname(fd, address, new Uint8Array(Uint32Array.of(16).buffer)), "getsockname");
  return { fd, port: new DataView(address.buffer).getUint16(2) };
}

/** Takes a connection from a listener that epoll has found ready. */
export function accept(listener: number): number {
  const fd = succeed(libc.accept4(listener, null, null, SOCK_CLOEXEC), "accept4");
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ON, 4);
  return fd;
}

/**
 * Connects to a port of 127.0.0.1, and waits for it: on the loopback the handshake is over when connect(2) returns.
 *
 * @param source The address to come from, 127.0.0.0/8 as a number; by default the kernel's choice.
 */
export function connect(port: number, source?: number): number {
  const fd = succeed(libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  if (source !== undefined) {
    // The port is then chosen by connect(2), which may use one again as long as the pair of addresses is another.
    libc.setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ON, 4);
    succeed(libc.bind(fd, socketAddress(source, 0), 16), "bind");
  }
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ON, 4);
  succeed(libc.connect(fd, socketAddress(LOOPBACK, port), 16), "connect");
  return fd;
}

function transferred(result: number, call: string): number {
  if (result >= 0) return result;
  if (errno[0] === EAGAIN) return WOULD_BLOCK;
  if (errno[0] === ECONNRESET || errno[0] === EPIPE) return RESET;
  return fail(call);
}

/** Reads what is there into `buffer`: how many bytes, 0 at the end of the stream. */
export function receive(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return transferred(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT), "recv");
}

/** Like {@linkcode receive}, but the bytes go nowhere; at most as many as `buffer` would hold. */
export function discard(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return transferred(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC), "recv");
}

/** Writes as much of the first `length` bytes as there is room for: how many. */
export function send(fd: number, bytes: Uint8Array<ArrayBuffer>, length = bytes.length): number {
  return transferred(libc.send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL), "send");
}

/** Has every call on `fd` return at once, also those that others make (libssl). */
export function setNonBlocking(fd: number): void {
  succeed(libc.ioctl(fd, FIONBIO, ON), "FIONBIO");
}

/** Lets other threads of the machine go before the one that calls: nice(1), which on Linux is a thread's own. */
export function yieldToOthers(): void {
  succeed(libc.setpriority(PRIO_PROCESS, 0, NICENESS), "setpriority");
}

/** Closes a descriptor, which also takes it out of every {@linkcode Poller}. */
export function close(fd: number): void {
  libc.close(fd);
}

const MAX_EVENTS = 256;
// struct epoll_event is packed on x86-64 alone.
const [EVENT_SIZE, DATA_OFFSET] = Deno.build.arch === "x86_64" ? [12, 4] as const : [16, 8] as const;

/** A level-triggered epoll set. */
export class Poller {
  readonly #fd = succeed(libc.epoll_create1(SOCK_CLOEXEC), "epoll_create1");
  readonly #events = new Uint8Array(EVENT_SIZE * MAX_EVENTS);
  readonly #view = new DataView(this.#events.buffer);
  readonly #change = new Uint8Array(EVENT_SIZE);
  readonly #changeView = new DataView(this.#change.buffer);

  /** Watches `fd` for {@linkcode READABLE} or {@linkcode WRITABLE}; an error shows as either. */
  add(fd: number, events: number): void {
    this.#control(EPOLL_CTL_ADD, fd, events);
  }

  /** Watches `fd`, which was added before, for something else. */
  change(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events);
  }

  /** Waits at most `timeoutMs` (-1: for ever), hands each ready descriptor over, and says how many there were. */
  wait(timeoutMs: number, onReady: (fd: number, events: number) => void): number {
    let count: number;
    do count = libc.epoll_wait(this.#fd, this.#events, MAX_EVENTS, timeoutMs); while (count < 0 && errno[0] === EINTR);
    succeed(count, "epoll_wait");
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_SIZE;
      onReady(this.#view.getInt32(at + DATA_OFFSET, true), this.#view.getUint32(at, true));
    }
    return count;
  }

  #control(operation: number, fd: number, events: number): void {
    this.#changeView.setUint32(0, events, true);
    this.#changeView.setInt32(DATA_OFFSET, fd, true);
    succeed(libc.epoll_ctl(this.#fd, operation, fd, this.#change), "epoll_ctl");
  }
}
