import type { Log, LogRecord, RecordPosition } from '../../ports/log.ts'
import { type ComparableEvent, compareEvents } from '../dedup/compare.ts'
import type { Dedup, DedupId } from '../dedup/dedup.ts'
import { isRecord } from '../entities/jsonb.ts'
import type { IncomingEvent } from '../incoming-event.ts'
import { endEvent, type Step, type Work } from '../work.ts'

/**
 * Exit: drop `duplicate`, with where the first one stands, and for a bounded number of each batch with how
 * they differ. An event that waits on another lane or in the dead letters has no verdict yet and never
 * stands in its own way: only what passes here is claimed.
 */
export function createJudgeDuplicatesStep(
  ports: { log: Log; dedup: Dedup },
  options: { comparisonsMax: number },
): Step {
  return {
    name: 'judge_duplicates',
    async run(work) {
      const { topic, partition } = work.batch
      const ids = work.events.map(idOf)
      const verdicts = ports.dedup.judge(ids, { topic, partition })
      work.claims = ids.filter((_, at) => verdicts[at]?.kind === 'new')
      let comparisons = 0
      for (const [at, event] of work.events.entries()) {
        const verdict = verdicts[at]
        if (verdict?.kind !== 'duplicate') continue
        const isCompared = comparisons < options.comparisonsMax
        if (isCompared) comparisons++
        const first = isCompared ? await readFirst(ports.log, work, verdict.first) : undefined
        const difference = first === undefined ? {} : compareRecords(first, event.record)
        endEvent(work, event, {
          kind: 'drop',
          reason: 'duplicate',
          details: { first: verdict.first, ...difference },
        })
      }
    },
  }
}

function idOf(event: IncomingEvent): DedupId {
  return { token: event.token, uuid: event.uuid, offset: event.record.offset }
}

async function readFirst(log: Log, work: Work, first: RecordPosition): Promise<LogRecord | undefined> {
  const { topic, partition, records } = work.batch
  if (first.topic === topic && first.partition === partition) {
    const near = records.find((record) => record.offset === first.offset)
    if (near !== undefined) return near
  }
  return await log.read(first.topic, first.partition, first.offset)
}

function compareRecords(first: LogRecord, second: LogRecord): Readonly<Record<string, unknown>> {
  const [one, other] = [rawEvent(first), rawEvent(second)]
  return one === undefined || other === undefined ? {} : compareEvents(one, other)
}

/** What the client sent, with what capture made of it. Undefined where it cannot be read. */
function rawEvent(record: LogRecord): ComparableEvent | undefined {
  try {
    const message: unknown = JSON.parse(record.value.toString())
    if (!isRecord(message) || typeof message.data !== 'string') return undefined
    const data: unknown = JSON.parse(message.data)
    const { token, distinct_id, uuid, event, timestamp } = message
    if (!isRecord(data)) return undefined
    const properties = isRecord(data.properties) ? data.properties : {}
    return { token, distinct_id, uuid, event, timestamp: data.timestamp ?? timestamp, properties }
  } catch (error) {
    // The place of the first one may hold another record by now: then there is nothing to compare with.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
