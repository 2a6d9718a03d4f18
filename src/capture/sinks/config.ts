import { z } from 'zod'

export const sinkKinds = ['log', 'print', 'noop'] as const
export type SinkKind = (typeof sinkKinds)[number]

/** Settings of where capture writes. They stand beside the settings of the v0 routes. */
export const sinkConfigShape = {
  sink: z.enum(sinkKinds).default('log').meta({
    description:
      'Where events go: the log, or for tests of what stands before it `print` (each record is a line of the program log) or `noop` (nowhere). Both lose every event.',
  }),
  printSink: z.boolean().default(false).meta({
    description: 'The same as `capture.sink: print`, by the name that PostHog gives it.',
    env: 'PRINT_SINK',
  }),
  noopSink: z.boolean().default(false).meta({
    description: 'The same as `capture.sink: noop`, by the name that PostHog gives it.',
    env: 'NOOP_SINK',
  }),
}

type SinkSettings = { sink: SinkKind; printSink: boolean; noopSink: boolean }

export function chosenSink({ sink, printSink, noopSink }: SinkSettings): SinkKind {
  if (sink !== 'log') return sink
  if (printSink) return 'print'
  return noopSink ? 'noop' : 'log'
}

/** What contradicts itself, as sentences that say what to set; none where all is well. */
export function sinkContradictions(config: SinkSettings & { fallback: { isEnabled: boolean } }): string[] {
  const { sink, printSink, noopSink } = config
  const chosen = chosenSink(config)
  return [
    ...(printSink && noopSink ? ['PRINT_SINK and NOOP_SINK are both set; unset one of them.'] : []),
    ...(printSink && sink === 'noop'
      ? ['PRINT_SINK is set, but capture.sink is noop; unset one of them.']
      : []),
    ...(noopSink && sink === 'print'
      ? ['NOOP_SINK is set, but capture.sink is print; unset one of them.']
      : []),
    ...(chosen !== 'log' && config.fallback.isEnabled
      ? [
          `capture.fallback is enabled, but the sink ${chosen} keeps nothing that could fail; set capture.fallback.isEnabled to false or unset the sink.`,
        ]
      : []),
  ]
}
