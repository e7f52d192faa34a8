/**
 * What a benchmark found, and how it is shown: a Markdown table of medians and ratios.
 *
 * @module
 */

import { median, spread } from "./statistics.ts";

/** What was found of one subject in one round. */
export interface Sample {
  readonly subject: string;
  /** 1 and up, in the order in which they were taken. */
  readonly round: number;
  /** By the name of what was measured, its unit included. */
  readonly values: Readonly<Record<string, number>>;
  /** The share of the machine's CPU time that the hypervisor kept meanwhile, 0 to 1, where that was read. */
  readonly steal?: number;
  /** The share that went to programs other than those of the benchmark, 0 to 1, where that was read. */
  readonly others?: number;
  /** What the first TLS handshake of the client led to, where it made one. */
  readonly tls?: string;
}

/** A load, and all samples taken under it. */
export interface Section {
  readonly title: string;
  /** The columns. */
  readonly subjects: readonly string[];
  /** Pairs of subjects whose medians are to be divided. */
  readonly ratios: readonly (readonly [dividend: string, divisor: string])[];
  readonly samples: readonly Sample[];
}

/** From where on a line is called noisy; shares, 0 to 1. */
const NOISY = { spread: 0.15, steal: 0.03, others: 0.05 };

/**
 * A section as a Markdown table: a line for each thing measured, with the median of each subject, the ratios, how far
 * the samples of the least steady subject lie apart (interquartile range over median), and what other programs used of
 * the machine. Under it stands what TLS was spoken, one line for each that differs from another.
 */
export function formatSection({ title, subjects, ratios, samples }: Section): string {
  const ratioNames = ratios.map(([dividend, divisor]) => `${dividend} / ${divisor}`);
  const header = [title, ...subjects, ...ratioNames, "others", "spread"];
  const others = describeOthers(samples);
  const lines = Object.keys(samples[0]?.values ?? {}).map((name) => {
    const found = subjects.map((subject) => valuesOf(samples, subject, name));
    const medians = found.map((values) => median(values));
    const of = (subject: string) => medians[subjects.indexOf(subject)] ?? NaN;
    const widest = Math.max(...found.map(spread));
    return [
      name,
      ...medians.map(formatNumber),
      ...ratios.map(([dividend, divisor]) => formatRatio(of(dividend), of(divisor))),
      others,
      describeNoise(widest, samples),
    ];
  });
  return [formatTable([header, ...lines]), ...describeTls(samples)].join("\n");
}

/** Of a value that may be less than nothing, as a difference may, there is no ratio. */
function formatRatio(dividend: number, divisor: number): string {
  return dividend >= 0 && divisor > 0 ? (dividend / divisor).toFixed(2) : "-";
}

/** The number with three digits that count, in groups of thousands. */
export function formatNumber(value: number): string {
  return value.toLocaleString("en", value < 1000 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 });
}

/** A Markdown table, its columns aligned; the first row is the header, the first column text, all others numbers. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const rule = widths.map((width, column) => column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`);
  const line = (cells: readonly string[]) =>
    `| ${
      widths.map((width, column) => {
        const cell = cells[column] ?? "";
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      }).join(" | ")
    } |`;
  const [header = [], ...body] = rows;
  return [header, rule, ...body].map(line).join("\n");
}

function valuesOf(samples: readonly Sample[], subject: string, name: string): number[] {
  return samples.flatMap((sample) => sample.subject === subject ? [sample.values[name] ?? NaN] : []);
}

function describeOthers(samples: readonly Sample[]): string {
  const known = samples.flatMap(({ others }) => others === undefined ? [] : [others]);
  return known.length === 0 ? "-" : percent(median(known));
}

function describeTls(samples: readonly Sample[]): string[] {
  const spoken = new Map<string, Set<string>>();
  for (const { subject, tls } of samples) {
    if (tls !== undefined) spoken.set(tls, (spoken.get(tls) ?? new Set()).add(subject));
  }
  const lines = [...spoken].map(([tls, subjects]) => `TLS of ${[...subjects].join(", ")}: ${tls}`);
  return lines.length === 0 ? [] : ["", ...lines];
}

function describeNoise(widest: number, samples: readonly Sample[]): string {
  const steal = median(samples.map((sample) => sample.steal ?? 0));
  const others = median(samples.map((sample) => sample.others ?? 0));
  const reasons = [
    ...(steal > NOISY.steal ? [`steal ${percent(steal)}`] : []),
    ...(others > NOISY.others ? ["others"] : []),
  ];
  const noisy = widest > NOISY.spread || reasons.length > 0;
  return [`${noisy ? "noisy: " : ""}${percent(widest)}`, ...reasons].join(", ");
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
