/**
 * CPU time and memory as the kernel accounts them, proc(5). Linux only; Deno lets no one read /proc who is not allowed
 * everything.
 *
 * @module
 */

/** The unit of the times in /proc: 1/100 s on every Linux, whatever the kernel's own tick (time(7), USER_HZ). */
const TICKS_PER_SECOND = 100;

/** What the CPUs of the machine did since it started, in seconds. */
export interface MachineTimes {
  /** In programs and the kernel, on whoever's behalf. */
  readonly busy: number;
  /** Wanted, but given to other guests by the hypervisor. */
  readonly steal: number;
  /** All of it: idle, waiting, interrupts and the above. */
  readonly total: number;
}

/**
 * The CPU time of a process, ended threads included, in seconds.
 *
 * @param stat The text of `/proc/PID/stat`.
 * @throws {SyntaxError} If it is not that.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseProcessSeconds("7 (a (b) c) S 1 7 7 0 -1 4194560 106 0 0 0 150 25 0 0 20 0 1 0"), 1.75);
 * ```
 */
export function parseProcessSeconds(stat: string): number {
  // The name of the program, in parentheses, may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]); // utime and stime, fields 14 and 15 with the two before
  if (!(ticks >= 0)) throw new SyntaxError(`not a /proc/PID/stat: ${stat}`);
  return ticks / TICKS_PER_SECOND;
}

/** The memory of processes, in bytes. */
export interface Memory {
  /** The proportional set size: shared pages divided by the number of those who share them. */
  readonly proportional: number;
  /** The resident set size: shared pages counted in full. */
  readonly resident: number;
}

/**
 * The memory of a process.
 *
 * @param rollup The text of `/proc/PID/smaps_rollup`.
 * @throws {SyntaxError} If it is not that.
 */
export function parseMemory(rollup: string): Memory {
  const bytesOf = (name: string) => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(rollup)?.[1];
    if (kibibytes === undefined) throw new SyntaxError(`no ${name} in: ${rollup}`);
    return Number(kibibytes) * 1024;
  };
  return { proportional: bytesOf("Pss"), resident: bytesOf("Rss") };
}

/**
 * What the CPUs of the machine did.
 *
 * @param stat The text of `/proc/stat`.
 * @throws {SyntaxError} If it is not that.
 */
export function parseMachineTimes(stat: string): MachineTimes {
  // cpu user nice system idle iowait irq softirq steal guest guest_nice; the guests' are within user and nice.
  const ticks = /^cpu +([\d ]+)$/m.exec(stat)?.[1]?.split(" ").slice(0, 8).map(Number);
  const [user, nice, system, , , , , steal] = ticks ?? [];
  if (ticks === undefined || user === undefined || nice === undefined || system === undefined || steal === undefined) {
    throw new SyntaxError(`not a /proc/stat: ${stat}`);
  }
  return {
    busy: (user + nice + system) / TICKS_PER_SECOND,
    steal: steal / TICKS_PER_SECOND,
    total: ticks.reduce((sum, value) => sum + value, 0) / TICKS_PER_SECOND,
  };
}

/** The CPU time of several processes together, in seconds. */
export function readProcessSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + parseProcessSeconds(Deno.readTextFileSync(`/proc/${pid}/stat`)), 0);
}

/** The memory of several processes together. */
export function readMemory(pids: readonly number[]): Memory {
  const all = pids.map((pid) => parseMemory(Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`)));
  const sum = (name: keyof Memory) => all.reduce((total, memory) => total + memory[name], 0);
  return { proportional: sum("proportional"), resident: sum("resident") };
}

/** What the CPUs of this machine did. */
export function readMachineTimes(): MachineTimes {
  return parseMachineTimes(Deno.readTextFileSync("/proc/stat"));
}

/** A process and all that descend from it; none where it has ended. */
export function processTree(pid: number): number[] {
  try {
    const threads = Array.from(Deno.readDirSync(`/proc/${pid}/task`), ({ name }) => name);
    return [pid, ...threads.flatMap((thread) => childrenOf(pid, thread)).flatMap(processTree)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function childrenOf(pid: number, thread: string): number[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // the thread has ended meanwhile
    throw error;
  }
}

/** How many descriptors a process of this user may have at most: `ulimit -Hn`. */
export function readDescriptorLimit(): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))?.[1];
  return hard === undefined || hard === "unlimited" ? Infinity : Number(hard);
}

/** The name of the CPU, where the kernel knows one. */
export function readCpuName(): string {
  const name = /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  return name?.trim() ?? Deno.build.arch;
}

/** The kernel's TCP congestion control, which bulk depends on. */
export function readCongestionControl(): string {
  return Deno.readTextFileSync("/proc/sys/net/ipv4/tcp_congestion_control").trim();
}
