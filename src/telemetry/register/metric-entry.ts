export type MetricEntry =
  | { kind: 'counter' | 'gauge'; help: string; labels: readonly string[] }
  | { kind: 'histogram'; help: string; labels: readonly string[]; buckets: readonly number[] }

export const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const
export const bytes = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216] as const
export const milliseconds = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 60_000, 300_000, 3_600_000,
] as const
export const records = [1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000] as const
