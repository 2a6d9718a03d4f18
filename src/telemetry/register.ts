import { captureMetrics } from './register/capture-metrics.ts'
import { consumerMetrics } from './register/consumer-metrics.ts'
import { enginesMetrics } from './register/engines-metrics.ts'
import { jobsMetrics } from './register/jobs-metrics.ts'
import type { MetricEntry } from './register/metric-entry.ts'
import { programMetrics } from './register/program-metrics.ts'

/**
 * Every metric has a row here; `docs/reference/metrics.md` is compared with this table by a test. Names
 * begin with the role they belong to, end in their unit, and counters in `_total`, except names that
 * operators know from PostHog's capture, which are kept.
 */
export const metricRegister = {
  ...programMetrics,
  ...captureMetrics,
  ...consumerMetrics,
  ...jobsMetrics,
  ...enginesMetrics,
} as const satisfies Record<string, MetricEntry>
