/** One partition of the ingest stage in a test, and what comes out of it in a form that can be compared. */
import { type IngestConfig, ingestConfig } from '../../src/ingest/config.ts'
import { createIngestStages, type IngestPorts } from '../../src/ingest/ingest.ts'
import type { LogBatch, NewRecord } from '../../src/ports/log.ts'
import type { Outcome } from '../../src/stream/outcome.ts'
import type { PartitionStage } from '../../src/stream/stage.ts'

export type Row = Record<string, unknown>

export async function openIngestPartition(
  ports: IngestPorts,
  options: { topic: string; partition?: number; config?: IngestConfig },
): Promise<PartitionStage> {
  const { topic, partition = 0, config = ingestConfig.parse({}) } = options
  const stage = createIngestStages(ports, config).find(({ topics }) => topics.includes(topic))
  if (stage === undefined) throw new Error(`no lane reads ${topic}`)
  return await stage.openPartition({ topic, partition, position: 0, signal: new AbortController().signal })
}

export type Processed = {
  outcomes: readonly Outcome[]
  /** One line per outcome: `next`, or the kind with its reason. */
  ends: string[]
  rows: Row[]
  /** The batch's other records by topic. */
  written: Record<string, Row[]>
}

/** Processes a batch and, unless told otherwise, settles it. */
export async function processBatch(
  stage: PartitionStage,
  batch: LogBatch,
  options: { isSettled?: boolean } = {},
): Promise<Processed> {
  const result = await stage.process(batch, { signal: new AbortController().signal })
  if (options.isSettled !== false) result.afterCommit?.()
  const { outcomes, records = [] } = result
  return {
    outcomes,
    ends: outcomes.map((outcome) =>
      'reason' in outcome ? `${outcome.kind} ${outcome.reason}` : outcome.kind,
    ),
    rows: outcomes.flatMap((outcome) => (outcome.kind === 'next' ? outcome.records.map(readRecord) : [])),
    written: Object.fromEntries(
      [...Map.groupBy(records, (record) => record.topic)]
        .filter(([topic]) => topic !== 'rowmill_dedup')
        .map(([topic, ofTopic]) => [topic, ofTopic.map(readRecord)]),
    ),
  }
}

function readRecord(record: NewRecord): Row {
  const row: Row = JSON.parse(record.value.toString())
  for (const key of ['properties', 'person_properties', 'details'])
    if (typeof row[key] === 'string') row[key] = JSON.parse(row[key])
  return row
}
