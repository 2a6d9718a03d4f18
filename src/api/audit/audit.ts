/**
 * Proves the promise with sums. From the log's own offsets, the ledger and the row counts it checks that
 *
 * 1. each stage's ranges tile its partitions: no gap, no overlap, from the start to its position;
 * 2. in every range `in = out + dropped + diverted + dead_lettered`;
 * 3. what ingest says it wrote is what stands on the topics of ready records and drops;
 * 4. the rows in the warehouse are as many as the records that the datasets say they wrote.
 *
 * What waits on the log is no fault: it is counted and named. The audit is *balanced* when nothing
 * contradicts, and *settled* when nothing waits.
 */
import { capturedTopics, topics } from '../../event/topics.ts'
import type { Database } from '../../ports/database.ts'
import type { GroupPosition, TopicDescription } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'

export type LogState = { topics: readonly TopicDescription[]; positions: readonly GroupPosition[] }

export type StageSum = {
  stage: string
  topic: string
  partition: number
  batches: number
  in: number
  out: number
  dropped: number
  diverted: number
  deadLettered: number
  /** Where the ledger's ranges begin and end. */
  from: number
  until: number
  /** Where the group's position is, and the partition's end. */
  position: number
  end: number
}

export type RowSum = { table: string; topic: string; expected: number; rows: number; deleted: number }
export type AuditReport = {
  isBalanced: boolean
  isSettled: boolean
  /** Records that capture has made durable. */
  captured: number
  /** How they ended. */
  rows: number
  drops: Readonly<Record<string, number>>
  waiting: readonly { stage: string; topic: string; records: number }[]
  stages: readonly StageSum[]
  tables: readonly RowSum[]
  /** A sentence for each contradiction. */
  problems: readonly string[]
}

type LedgerSum = {
  stage: string
  topic: string
  partition: string
  batches: string
  received: string
  sent: string
  dropped: string
  diverted: string
  dead: string
  first: string
  last: string
  broken: string
  unequal: string
}

/** Tables whose rows must be as many as the records of a topic. */
const countedTables = [
  { table: 'events', topic: topics.readyEvents },
  { table: 'drops', topic: topics.drops },
] as const

export async function audit(
  ports: { warehouse: Warehouse; database: Database },
  log: LogState,
): Promise<AuditReport> {
  const stages = (await readLedger(ports.warehouse)).map((row) => stageSum(row, log))
  const problems = stages.flatMap(({ sum, faults }) =>
    faults.map((fault) => `${sum.stage}, ${sum.topic}/${sum.partition}: ${fault}`),
  )
  const outputs = await readOutputs(ports.warehouse)
  const waiting = waitingOf(log)
  const isSettled = waiting.length === 0
  if (isSettled) problems.push(...compareOutputs(outputs, log))
  const tables = await countTables(ports, log)
  for (const sum of tables)
    if (sum.rows + sum.deleted !== sum.expected)
      problems.push(
        `${sum.table} holds ${sum.rows} rows (${sum.deleted} deleted on request), but ${sum.expected} records of ${sum.topic} were written.`,
      )
  return {
    isBalanced: problems.length === 0,
    isSettled,
    captured: endOf(log, capturedTopics) - divertedTo(outputs, capturedTopics),
    rows: tables.find(({ table }) => table === 'events')?.rows ?? 0,
    drops: await readDrops(ports.warehouse),
    waiting,
    stages: stages.map(({ sum }) => sum),
    tables,
    problems,
  }
}

/** One row per stage and partition; `broken` counts ranges that do not begin where the one before ended. */
async function readLedger(warehouse: Warehouse): Promise<LedgerSum[]> {
  return warehouse.query<LedgerSum>(
    `select stage, topic, partition, count() as batches, sum(received) as received, sum(sent) as sent,
       sum(dropped) as dropped, sum(diverted) as diverted, sum(dead) as dead, min(from_offset) as first, max(until_offset) as last,
       countIf(from_offset != previous) as broken, countIf(received != sent + dropped + diverted + dead) as unequal
     from (
       select stage, topic, partition, from_offset, until_offset, \`in\` as received, \`out\` as sent, dropped, diverted, dead_lettered as dead,
         lagInFrame(until_offset, 1, from_offset) over (partition by stage, topic, partition order by from_offset
           rows between 1 preceding and current row) as previous
       from ledger
     )
     group by stage, topic, partition order by stage, topic, partition`,
  )
}

function stageSum(row: LedgerSum, log: LogState): { sum: StageSum; faults: string[] } {
  const partition = Number(row.partition)
  const position = log.positions.find(
    (entry) => entry.group === row.stage && entry.topic === row.topic && entry.partition === partition,
  )
  const bounds = log.topics.find(({ name }) => name === row.topic)?.bounds[partition]
  const sum: StageSum = {
    stage: row.stage,
    topic: row.topic,
    partition,
    batches: Number(row.batches),
    in: Number(row.received),
    out: Number(row.sent),
    dropped: Number(row.dropped),
    diverted: Number(row.diverted),
    deadLettered: Number(row.dead),
    from: Number(row.first),
    until: Number(row.last),
    position: position?.position ?? 0,
    end: bounds?.end ?? 0,
  }
  const faults: string[] = []
  if (Number(row.broken) > 0) faults.push(`${row.broken} batches do not begin where the one before ended.`)
  if (Number(row.unequal) > 0) faults.push(`${row.unequal} batches do not add up.`)
  if (sum.until > sum.position)
    faults.push(`the ledger reaches offset ${sum.until}, beyond the position ${sum.position}.`)
  if (sum.in !== sum.until - sum.from)
    faults.push(`${sum.in} records were counted between the offsets ${sum.from} and ${sum.until}.`)
  return { sum, faults }
}

/** Records that each stage wrote to each topic, by the ledger. */
async function readOutputs(warehouse: Warehouse): Promise<Map<string, number>> {
  const rows = await warehouse.query<{ topic: string; records: string }>(
    `select pair.1 as topic, sum(pair.2) as records
     from (select arrayJoin(arrayZip(mapKeys(outputs), mapValues(outputs))) as pair from ledger) group by topic`,
  )
  return new Map(rows.map((row) => [row.topic, Number(row.records)]))
}

/** Only ingest writes these topics, so their ends must be what its ledger says. */
function compareOutputs(outputs: ReadonlyMap<string, number>, log: LogState): string[] {
  return [topics.readyEvents, topics.readyHeatmaps].flatMap((topic) => {
    const end = endOf(log, [topic])
    const written = outputs.get(topic) ?? 0
    return end === written
      ? []
      : [`${topic} holds ${end} records, but the ledger says that ${written} were written.`]
  })
}

function divertedTo(outputs: ReadonlyMap<string, number>, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (outputs.get(name) ?? 0), 0)
}

function endOf(log: LogState, names: readonly string[]): number {
  return log.topics
    .filter(({ name }) => names.includes(name))
    .reduce((sum, { bounds }) => sum + bounds.reduce((inner, { end }) => inner + end, 0), 0)
}

function waitingOf(log: LogState): AuditReport['waiting'] {
  const waiting = new Map<string, { stage: string; topic: string; records: number }>()
  for (const { group, topic, partition, position } of log.positions) {
    // De-duplication keeps its changelog on purpose until the window has passed.
    if (topic === topics.dedup) continue
    const end = log.topics.find(({ name }) => name === topic)?.bounds[partition]?.end ?? 0
    if (end <= position) continue
    const key = `${group}/${topic}`
    const entry = waiting.get(key) ?? { stage: group, topic, records: 0 }
    entry.records += end - position
    waiting.set(key, entry)
  }
  return [...waiting.values()]
}

async function countTables(
  ports: { warehouse: Warehouse; database: Database },
  log: LogState,
): Promise<RowSum[]> {
  const [deletions] = await ports.database.query<{ events: string | null }>(
    `select sum(events_deleted)::text as events from rowmill_deletion where stage = 'finished'`,
  )
  const [lost] = await ports.warehouse.query<{ events: string; drops: string }>(
    `select countIf(topic = {events:String}) as events, countIf(topic = {drops:String}) as drops from drops where ended = 'dead-letter'`,
    { parameters: { events: topics.readyEvents, drops: topics.drops } },
  )
  const sums: RowSum[] = []
  for (const { table, topic } of countedTables) {
    const settled = Math.min(...groupPositions(log, topic))
    const refused = Number(table === 'events' ? lost?.events : lost?.drops)
    const [count] = await ports.warehouse.query<{ rows: string }>(
      table === 'events' ? 'select count() as rows from events' : 'select count() as rows from drops',
    )
    sums.push({
      table,
      topic,
      expected: (Number.isFinite(settled) ? settled : 0) - refused,
      rows: Number(count?.rows ?? 0),
      deleted: table === 'events' ? Number(deletions?.events ?? 0) : 0,
    })
  }
  return sums
}

/** Settled records of each group that reads the topic, over its partitions. */
function groupPositions(log: LogState, topic: string): number[] {
  const sums = new Map<string, number>()
  for (const entry of log.positions)
    if (entry.topic === topic) sums.set(entry.group, (sums.get(entry.group) ?? 0) + entry.position)
  return [...sums.values()]
}

async function readDrops(warehouse: Warehouse): Promise<Record<string, number>> {
  const rows = await warehouse.query<{ reason: string; events: string }>(
    'select reason, count() as events from drops group by reason order by events desc, reason',
  )
  return Object.fromEntries(rows.map((row) => [row.reason, Number(row.events)]))
}
