/**
 * The sinks that stand in for the log where nothing shall be kept: `print` shows each record, `noop` forgets it.
 * Both answer every request with success and lose its events, so a program with one of them says so at its start
 * and is never ready; with `print` it is not even alive, as in PostHog's capture, so that no supervisor keeps it
 * running by mistake.
 */
import { isUtf8 } from 'node:buffer'
import type { NewRecord } from '../../ports/log.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { chosenSink, type SinkKind } from './config.ts'
import type { RecordSink } from './record-sink.ts'

/** Takes all records and keeps none. */
export function createNoopSink(): RecordSink {
  return { append: async () => undefined }
}

/** Writes each record as one line of the program's log, whatever its level: the one place that shows what events hold. */
export function createPrintSink(logger: Logger): RecordSink {
  const printer = logger.child({ sink: 'print' }, { level: 'info' })
  return {
    async append(records) {
      for (const record of records) printer.info({ record: readable(record) }, 'a captured record')
    },
  }
}

function readable({ topic, key, headers, value }: NewRecord): Record<string, unknown> {
  return { topic, key: key === null ? null : String(key), headers: headers ?? {}, ...readableValue(value) }
}

function readableValue(value: Buffer): Record<string, unknown> {
  if (!isUtf8(value)) return { valueBase64: value.toString('base64') }
  const text = value.toString('utf8')
  try {
    return { value: JSON.parse(text) }
  } catch {
    // Not every record is JSON: its text is shown as it is.
    return { value: text }
  }
}

/** What a program that keeps no events says of itself; undefined for one that does. */
export type SinkNotice = { kind: SinkKind; sentence: string; isAlive: boolean }

export function sinkNotice(config: Parameters<typeof chosenSink>[0]): SinkNotice | undefined {
  const kind = chosenSink(config)
  if (kind === 'log') return undefined
  const sentence =
    kind === 'print'
      ? 'Events are printed and lost: the sink is print.'
      : 'Events are accepted and lost: the sink is noop.'
  return { kind, sentence, isAlive: kind !== 'print' }
}
