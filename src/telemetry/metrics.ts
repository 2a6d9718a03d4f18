import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { MetricEntry } from './register/metric-entry.ts'
import { metricRegister } from './register.ts'

type Register = typeof metricRegister
export type MetricName = keyof Register
type NamesOf<Kind extends MetricEntry['kind']> = {
  [Name in MetricName]: Register[Name]['kind'] extends Kind ? Name : never
}[MetricName]
export type CounterName = NamesOf<'counter'>
export type GaugeName = NamesOf<'gauge'>
export type HistogramName = NamesOf<'histogram'>
export type Labels = Readonly<Record<string, string>>

/** The program's measurements, by the names of the register. Labels are closed sets: never a team, token or distinct id. */
export interface Metrics {
  count(name: CounterName, by?: number, labels?: Labels): void
  set(name: GaugeName, value: number, labels?: Labels): void
  observe(name: HistogramName, value: number, labels?: Labels): void
  /** The present value of a counter or gauge, 0 if it was never touched; for tests and status pages. */
  value(name: CounterName | GaugeName, labels?: Labels): Promise<number>
  /** The Prometheus text format. */
  render(): Promise<string>
}

/**
 * With `version` also those of the process itself: `build_info`, and memory, CPU, handles and the event loop's delay
 * by the names of prom-client.
 */
export function createMetrics(options: { version?: string } = {}): Metrics {
  const registry = new Registry()
  const counters = new Map<string, Counter>()
  const gauges = new Map<string, Gauge>()
  const histograms = new Map<string, Histogram>()
  for (const [name, entry] of Object.entries<MetricEntry>(metricRegister)) {
    const settings = { name, help: entry.help, labelNames: [...entry.labels], registers: [registry] }
    if (entry.kind === 'histogram')
      histograms.set(name, new Histogram({ ...settings, buckets: [...entry.buckets] }))
    else if (entry.kind === 'counter') counters.set(name, new Counter(settings))
    else gauges.set(name, new Gauge(settings))
  }
  if (options.version !== undefined) {
    collectDefaultMetrics({ register: registry })
    gauges.get('build_info')?.set({ version: options.version, node: process.version }, 1)
  }
  return {
    count: (name, by = 1, labels = {}) => counters.get(name)?.inc(labels, by),
    set: (name, value, labels = {}) => gauges.get(name)?.set(labels, value),
    observe: (name, value, labels = {}) => histograms.get(name)?.observe(labels, value),
    async value(name, labels = {}) {
      const metric = await (counters.get(name) ?? gauges.get(name))?.get()
      const wanted = Object.entries(labels)
      const found = metric?.values.find((sample) =>
        wanted.every(([key, value]) => sample.labels[key] === value),
      )
      return found?.value ?? 0
    },
    render: () => registry.metrics(),
  }
}
