/** What a storage's processor is made with. */
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import { uuidV4 } from '../../std/uuid.ts'
import type { CounterName, Metrics } from '../../telemetry/metrics.ts'
import type { MetricEntry } from '../../telemetry/register/metric-entry.ts'
import { metricRegister } from '../../telemetry/register.ts'
import type { ProcessorContext } from '../processor/processor.ts'
import type { Storage } from '../storage/storage.ts'

/** Live options of a storage, as of now. */
export type Live = () => Readonly<Record<string, unknown>>

export function createProcessorContext(
  ports: { clock: Clock; random: Random; metrics: Metrics },
  storage: Storage,
  live: Live,
): ProcessorContext {
  const { clock, random, metrics } = ports
  return {
    storage: storage.name,
    format: storage.writer.format,
    retention: storage.retention,
    options: storage.processor.options,
    live,
    nowMs: () => clock.now(),
    uuid: () => uuidV4(random.bytes(16)),
    count(metric, by, labels) {
      if (isCounter(metric)) metrics.count(metric, by, labels)
    },
  }
}

/** Users' processors may count what the register does not know: that is theirs, and goes nowhere. */
function isCounter(name: string): name is CounterName {
  return counters.has(name)
}

const counters: ReadonlySet<string> = new Set(
  Object.entries<MetricEntry>(metricRegister)
    .filter(([, { kind }]) => kind === 'counter')
    .map(([name]) => name),
)
