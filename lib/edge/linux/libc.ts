/**
 * The few libc calls that the epoll engine makes: the only file that touches FFI.
 *
 * Every call returns what the system call does, or `-errno`. What keeps them fast calls (a third of the cost of a new
 * connection otherwise, measured): results declared `i32` and lengths `u32`, since 64-bit integers come back as BigInt,
 * and memory handed over as `buffer`. All lengths here are far below 2^31, and both ABIs that Deno has on Linux pass an
 * unsigned 32-bit argument in a register whose upper half is clear.
 *
 * @module
 */

// errno(3), the same on x86_64 and aarch64 (include/uapi/asm-generic/errno.h).
export const EINTR = 4;
export const EAGAIN = 11;
export const ENFILE = 23;
export const EMFILE = 24;
export const EPIPE = 32;
export const ENOBUFS = 105;
export const ENOMEM = 12;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EINPROGRESS = 115;

const ERROR_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "EPERM"],
  [2, "ENOENT"],
  [EINTR, "EINTR"],
  [9, "EBADF"],
  [EAGAIN, "EAGAIN"],
  [ENOMEM, "ENOMEM"],
  [13, "EACCES"],
  [ENFILE, "ENFILE"],
  [EMFILE, "EMFILE"],
  [EPIPE, "EPIPE"],
  [97, "EAFNOSUPPORT"],
  [98, "EADDRINUSE"],
  [99, "EADDRNOTAVAIL"],
  [101, "ENETUNREACH"],
  [103, "ECONNABORTED"],
  [104, "ECONNRESET"],
  [ENOBUFS, "ENOBUFS"],
  [107, "ENOTCONN"],
  [ETIMEDOUT, "ETIMEDOUT"],
  [109, "ETOOMANYREFS"],
  [ECONNREFUSED, "ECONNREFUSED"],
  [113, "EHOSTUNREACH"],
]);

/** The name of an error number, such as `ECONNRESET`, or `errno 95`. */
export function errorName(errno: number): string {
  return ERROR_NAMES.get(errno) ?? `errno ${errno}`;
}

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_CORK = 3;
/** Whether what comes is acknowledged at once; 0: with the answer, or after 40 ms, tcp(7). */
export const TCP_QUICKACK = 12;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;

export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 0x80000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = SOCK_NONBLOCK;
const SHUT_WR = 1;
const MSG_PEEK = 2;
const MSG_NOSIGNAL = 0x4000;
const MSG_MORE = 0x8000;
const MSG_CTRUNC = 8;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SCM_RIGHTS = 1;
const CLOCK_MONOTONIC = 1;
const RLIMIT_NOFILE = 7;

/** How many descriptors traffic leaves to the rest of the program, and which share of all it leaves at most. */
const SPARED = 64;
const SPARED_SHARE = 1 / 8;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** This platform has no libc to call, or Deno may not call it. */
export class LibcError extends Error {
  override readonly name = "LibcError";
}

/** The names of glibc and of musl. */
const LIBRARIES = ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`];

function load(): Deno.DynamicLibrary<typeof SYMBOLS> {
  if (Deno.build.os !== "linux") throw new LibcError(`epoll is a system call of Linux, and this is ${Deno.build.os}`);
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    throw new LibcError("Deno may not call libc: --allow-ffi is not given");
  }
  for (const name of LIBRARIES) {
    try {
      return Deno.dlopen(name, SYMBOLS);
    } catch {
      // The other may be there.
    }
  }
  throw new LibcError(`neither ${LIBRARIES.join(" nor ")} can be loaded`);
}

/** libc, as one thread calls it: the address of `errno` is that thread's. */
export class Libc {
  readonly #c: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  readonly #errno: Int32Array;
  readonly #one = Int32Array.of(1);
  readonly #linger = Int32Array.of(1, 0);
  readonly #int = new Int32Array(1);
  readonly #length = new Uint32Array(1);
  readonly #time = new BigInt64Array(2);
  readonly #timeWords = new Int32Array(this.#time.buffer);
  readonly #eight = BigUint64Array.of(1n);
  /**
   * The first descriptor that traffic does not use. The kernel gives the lowest number that is free, open(2): so whoever
   * is given this one has found all below in use.
   */
  readonly descriptorLimit: number;

  /**
   * @param spares Whether sockets are refused (EMFILE) when few descriptors are left, which are for the rest of the
   * program: its files, its administrators, its scrapers.
   * @throws {LibcError} If it cannot be loaded.
   */
  constructor({ spares = false }: { readonly spares?: boolean } = {}) {
    this.#c = load().symbols;
    const location = this.#c.__errno_location();
    if (location === null) throw new LibcError("errno has no address");
    this.#errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
    this.descriptorLimit = spares ? this.#readDescriptorLimit() : Infinity;
  }

  #readDescriptorLimit(): number {
    const limits = new BigUint64Array(2); // the soft one and the hard one
    if (this.#c.getrlimit(RLIMIT_NOFILE, limits) < 0) return Infinity;
    const most = Number(limits[0]); // without a limit, 2^64 - 1
    return most - Math.min(SPARED, Math.floor(most * SPARED_SHARE));
  }

  /** `fd`, or EMFILE where it is one that is spared: then it is closed. */
  #unlessSpared(fd: number): number {
    if (fd < this.descriptorLimit) return fd;
    this.reset(fd);
    return -EMFILE;
  }

  /** Whether a descriptor is free for traffic. */
  hasDescriptor(): boolean {
    const fd = this.#unlessSpared(this.eventfd());
    if (fd < 0) return false;
    this.close(fd);
    return true;
  }

  /** `result`, or the error behind a negative one. */
  #checked(result: number): number {
    return result >= 0 ? result : -(this.#errno[0] ?? 0);
  }

  /** A TCP socket that does not block. */
  socket(family: number): number {
    return this.#unlessSpared(this.#checked(this.#c.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  }

  /** A Unix datagram socket that does not block. */
  datagramSocket(): number {
    return this.#checked(this.#c.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }

  /** Sends one datagram to a Unix socket, unix(7), from a new socket that does not block: EAGAIN where it is full. */
  sendDatagram(sockaddr: Uint8Array<ArrayBuffer>, octets: Uint8Array<ArrayBuffer>): number {
    const fd = this.datagramSocket();
    if (fd < 0) return fd;
    const connected = this.connect(fd, sockaddr);
    const sent = connected < 0 ? connected : this.send(fd, octets, octets.length);
    this.close(fd);
    return sent;
  }

  /** Sets a socket option to 1. */
  enable(fd: number, level: number, option: number): number {
    return this.#checked(this.#c.setsockopt(fd, level, option, this.#one, 4));
  }

  /** Sets a socket option to 0. */
  disable(fd: number, level: number, option: number): number {
    this.#int[0] = 0;
    return this.#checked(this.#c.setsockopt(fd, level, option, this.#int, 4));
  }

  /** The pending error of a socket (`SO_ERROR`), which this clears; 0 for none. */
  socketError(fd: number): number {
    this.#int[0] = 0;
    this.#length[0] = 4;
    const result = this.#checked(this.#c.getsockopt(fd, SOL_SOCKET, SO_ERROR, this.#int, this.#length));
    return result < 0 ? -result : this.#int[0] ?? 0;
  }

  /** The own address of a socket, written into `sockaddr`. */
  getsockname(fd: number, sockaddr: Uint8Array<ArrayBuffer>): number {
    this.#length[0] = sockaddr.length;
    return this.#checked(this.#c.getsockname(fd, sockaddr, this.#length));
  }

  bind(fd: number, sockaddr: Uint8Array<ArrayBuffer>): number {
    return this.#checked(this.#c.bind(fd, sockaddr, sockaddr.length));
  }

  listen(fd: number, backlog: number): number {
    return this.#checked(this.#c.listen(fd, backlog));
  }

  /** Accepts a connection as a socket that does not block; the peer's address is written into `sockaddr`. */
  accept(fd: number, sockaddr: Uint8Array<ArrayBuffer>): number {
    this.#length[0] = sockaddr.length;
    const accepted = this.#c.accept4(fd, sockaddr, this.#length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return this.#unlessSpared(this.#checked(accepted));
  }

  connect(fd: number, sockaddr: Uint8Array<ArrayBuffer>): number {
    return this.#checked(this.#c.connect(fd, sockaddr, sockaddr.length));
  }

  // A call on a socket that does not block is not interrupted, signal(7): no EINTR from here down to `close`.

  recv(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
    return this.#checked(this.#c.recv(fd, buffer, length, 0));
  }

  /** Receives without taking: the bytes stay in the kernel's buffer. */
  peek(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
    return this.#checked(this.#c.recv(fd, buffer, length, MSG_PEEK));
  }

  /** Sends without raising SIGPIPE. */
  send(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
    return this.#checked(this.#c.send(fd, buffer, length, MSG_NOSIGNAL));
  }

  /** Sends what will share a segment with the next bytes, if they come within 200 ms: tcp(7) MSG_MORE. */
  sendMore(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
    return this.#checked(this.#c.send(fd, buffer, length, MSG_NOSIGNAL | MSG_MORE));
  }

  /** Sends descriptors, {@linkcode MAX_DESCRIPTORS} at most, to the Unix datagram socket at an address: unix(7) SCM_RIGHTS. */
  sendDescriptors(fd: number, sockaddr: Uint8Array<ArrayBuffer>, descriptors: readonly number[]): number {
    const message = new DescriptorMessage(sockaddr, descriptors.length);
    message.write(descriptors);
    return this.#checked(this.#c.sendmsg(fd, message.header, MSG_NOSIGNAL));
  }

  /** Receives the descriptors of one datagram; a number is `-errno`. They are of this process from now on. */
  receiveDescriptors(fd: number): number[] | number {
    const message = new DescriptorMessage(undefined, MAX_DESCRIPTORS);
    const result = this.#checked(this.#c.recvmsg(fd, message.header, MSG_CMSG_CLOEXEC));
    return result < 0 ? result : message.read();
  }

  /** Half-closes: sends FIN. */
  shutdown(fd: number): number {
    return this.#checked(this.#c.shutdown(fd, SHUT_WR));
  }

  close(fd: number): number {
    return this.#checked(this.#c.close(fd));
  }

  /** Closes with a reset in place of FIN: tcp(7) SO_LINGER with a time of zero. */
  reset(fd: number): number {
    this.#c.setsockopt(fd, SOL_SOCKET, SO_LINGER, this.#linger, 8);
    return this.close(fd);
  }

  epollCreate(): number {
    return this.#checked(this.#c.epoll_create1(SOCK_CLOEXEC));
  }

  epollCtl(epoll: number, operation: number, fd: number, event: Uint8Array<ArrayBuffer>): number {
    return this.#checked(this.#c.epoll_ctl(epoll, operation, fd, event));
  }

  epollWait(epoll: number, events: Uint8Array<ArrayBuffer>, count: number, timeoutMs: number): number {
    return this.#checked(this.#c.epoll_wait(epoll, events, count, timeoutMs));
  }

  /** A counter that wakes whoever polls it. */
  eventfd(): number {
    return this.#checked(this.#c.eventfd(0, EFD_NONBLOCK | SOCK_CLOEXEC));
  }

  /** Adds one to an eventfd. */
  wake(eventfd: number): number {
    return this.#checked(this.#c.write(eventfd, this.#eight, 8));
  }

  /** Takes an eventfd back to zero; how often it was woken. */
  takeWakes(eventfd: number): number {
    return this.#c.read(eventfd, this.#time, 8) === 8 ? this.#timeWords[0] ?? 0 : 0;
  }

  /** CLOCK_MONOTONIC in ms, which is one clock for all threads; `performance.now()` starts at each thread's own zero. */
  now(): number {
    this.#c.clock_gettime(CLOCK_MONOTONIC, this.#time);
    // Seconds since the host started fit the lower word.
    return (this.#timeWords[0] ?? 0) * 1000 + (this.#timeWords[2] ?? 0) / 1e6;
  }
}

/** How many descriptors one message carries at most, unix(7): SCM_MAX_FD. */
export const MAX_DESCRIPTORS = 253;

/**
 * A struct msghdr, recv(2), with one octet of data and room for descriptors behind a struct cmsghdr, cmsg(3). Both are
 * the same for glibc and musl, whose lengths have 32 bits and padding where glibc's have 64: the upper half is zero.
 */
class DescriptorMessage {
  readonly header = new Uint8Array(new ArrayBuffer(56));
  /** What the header points to. */
  readonly #data = new Uint8Array(new ArrayBuffer(1));
  readonly #vector = new BigUint64Array(new ArrayBuffer(16));
  readonly #control: DataView<ArrayBuffer>;
  readonly #name: Uint8Array<ArrayBuffer> | undefined;

  /** @param name The address to send to. */
  constructor(name: Uint8Array<ArrayBuffer> | undefined, count: number) {
    this.#name = name;
    this.#vector.set([addressOf(this.#data), 1n]);
    this.#control = new DataView(new ArrayBuffer(CMSG_HEADER + Math.ceil(count / 2) * 8));
    const header = new DataView(this.header.buffer);
    if (this.#name !== undefined) {
      header.setBigUint64(0, addressOf(this.#name), true);
      header.setUint32(8, this.#name.length, true);
    }
    header.setBigUint64(16, addressOf(this.#vector), true);
    header.setUint32(24, 1, true);
    header.setBigUint64(32, addressOf(this.#control), true);
    header.setUint32(40, this.#control.byteLength, true);
  }

  write(descriptors: readonly number[]): void {
    this.#control.setUint32(0, CMSG_HEADER + descriptors.length * 4, true);
    this.#control.setInt32(8, SOL_SOCKET, true);
    this.#control.setInt32(12, SCM_RIGHTS, true);
    for (const [i, fd] of descriptors.entries()) this.#control.setInt32(CMSG_HEADER + i * 4, fd, true);
  }

  /** @throws {Error} If the kernel left some out, as where this process may have no more. */
  read(): number[] {
    const header = new DataView(this.header.buffer);
    const isWhole = (header.getInt32(48, true) & MSG_CTRUNC) === 0;
    const length = header.getUint32(40, true) < CMSG_HEADER ? 0 : this.#control.getUint32(0, true);
    const count = Math.max(0, (length - CMSG_HEADER) / 4);
    const fds = Array.from({ length: count }, (_, i) => this.#control.getInt32(CMSG_HEADER + i * 4, true));
    if (!isWhole) throw new Error("descriptors are missing: this process may not have so many (ulimit -n)");
    return fds;
  }
}

const CMSG_HEADER = 16;

function addressOf(memory: ArrayBufferView<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory)));
}
