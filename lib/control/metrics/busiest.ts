/**
 * The busiest of many, and a sum of the others.
 *
 * @module
 */

/** How many backends, and how many host names, are told one by one to those who watch. */
export const MAX_TOLD = 1_000;

/** How what is counted of a name is told. */
export interface Telling<Counts, Told> {
  /** Those that there are, each time that it is called; the counts may be in the same place each time. */
  read(): Iterable<readonly [name: string, counts: Counts]>;
  /** How busy one is; 0 leaves it out. */
  weigh(counts: Counts): number;
  /** A copy. */
  tell(name: string, counts: Counts): Told;
  /** Adds one to what is told of the others. */
  add(others: Told, counts: Counts): void;
  /** The name of all others; one that has it is among them. */
  readonly others: string;
}

/**
 * Tells the {@linkcode MAX_TOLD} busiest, in the order in which they are read, and behind them the sum of the others,
 * where there are any. What was busy since the start stays so: hardly one takes another's place while somebody watches.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const counts = new Map([["a", 5], ["b", 0], ["(other)", 2]]);
 * const told = tellBusiest({
 *   read: () => counts,
 *   weigh: (count: number) => count,
 *   tell: (name, count) => ({ name, count }),
 *   add: (others, count) => others.count += count,
 *   others: "(other)",
 * });
 * assert.deepEqual(told, [{ name: "a", count: 5 }, { name: "(other)", count: 2 }]);
 * ```
 */
export function tellBusiest<Counts, Told>(telling: Telling<Counts, Told>): Told[] {
  const isNamed = thoseAbove(weightsOf(telling));
  const told: Told[] = [];
  let others: Told | undefined;
  for (const [name, counts] of telling.read()) {
    const weight = telling.weigh(counts);
    if (weight === 0) continue;
    if (name !== telling.others && isNamed(weight)) told.push(telling.tell(name, counts));
    else if (others === undefined) others = telling.tell(telling.others, counts);
    else telling.add(others, counts);
  }
  return others === undefined ? told : [...told, others];
}

function weightsOf<Counts, Told>({ read, weigh, others }: Telling<Counts, Told>): Float64Array {
  const weights: number[] = [];
  for (const [name, counts] of read()) if (name !== others) weights.push(weigh(counts));
  return Float64Array.from(weights).sort();
}

/** Takes each weight in its turn, and says whether it has a place; of those that are alike the first have. */
function thoseAbove(ascending: Float64Array): (weight: number) => boolean {
  if (ascending.length <= MAX_TOLD) return () => true;
  const threshold = ascending[ascending.length - MAX_TOLD] ?? 0;
  let places = MAX_TOLD; // for all: what is counted meanwhile must not make more of them
  let alike = ascending.subarray(-MAX_TOLD).filter((weight) => weight === threshold).length;
  return (weight) => weight >= threshold && places > 0 && (weight > threshold || alike-- > 0) && places-- > 0;
}
