/**
 * Proves the promise with sums. From the log's own offsets, the ledger and the row counts it checks that
 *
 * 1. each stage's ranges tile its partitions: no gap, no overlap, from the start to its position;
 * 2. in every range `in = out + dropped + diverted + dead_lettered`;
 * 3. what ingest says it wrote is what stands on the topics of ready records and drops;
 * 4. the rows in the warehouse are as many as the records that the datasets say they wrote.
 *
 * What waits on the log is no fault: it is counted and named. The audit is *balanced* when nothing
 * contradicts, and *settled* when nothing waits. It may run while events arrive: rows are counted up to the
 * positions that it began with, and what can only be compared at rest is compared when nothing waits and the
 * log has not moved meanwhile.
 */
import { capturedTopics, topics } from '../../event/topics.ts'
import type { Database } from '../../ports/database.ts'
import type { GroupPosition, Log, TopicDescription } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'

export type LogState = { topics: readonly TopicDescription[]; positions: readonly GroupPosition[] }
type AuditLog = Pick<Log, 'describe' | 'positions'>

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
  gaps: string
  overlaps: string
  unequal: string
}

/** Tables whose rows must be as many as the records of a topic, and the group that writes them: others may read it too. */
const countedTables = [
  { table: 'events', topic: topics.readyEvents, group: 'datasets-events' },
  { table: 'drops', topic: topics.drops, group: 'datasets-drops' },
] as const

/** Without their rows nothing can be said: what no role has begun to read waits like what is behind. */
const proofs = [
  { stage: 'datasets-ledger', topic: topics.ledger },
  { stage: 'datasets-drops', topic: topics.drops },
] as const

export async function audit(
  ports: { warehouse: Warehouse; database: Database },
  source: AuditLog,
): Promise<AuditReport> {
  const log = await readState(source)
  const tables = await countTables(ports, log)
  const outputs = await readOutputs(ports.warehouse)
  const drops = await readDrops(ports.warehouse)
  const ledger = await readLedger(ports.warehouse)
  const after = await readState(source)
  const waiting = waitingOf(log)
  const isSettled = waiting.length === 0 && JSON.stringify(after) === JSON.stringify(log)
  const stages = ledger.map((row) => stageSum(row, after))
  const problems = stages.flatMap(({ sum, faults }) =>
    faults.map((fault) => `${sum.stage}, ${sum.topic}/${sum.partition}: ${fault}`),
  )
  if (isSettled) {
    problems.push(...compareOutputs(outputs, log))
    problems.push(
      ...missingLedgers(
        stages.map(({ sum }) => sum),
        log,
      ),
    )
  }
  problems.push(...tables.flatMap((sum) => compareRows(sum, isSettled)))
  return {
    isBalanced: problems.length === 0,
    isSettled,
    captured: endOf(log, capturedTopics) - divertedTo(outputs, capturedTopics),
    rows: tables.find(({ table }) => table === 'events')?.rows ?? 0,
    drops,
    waiting,
    stages: stages.map(({ sum }) => sum),
    tables: tables.map(({ pending: _, ...sum }) => sum),
    problems,
  }
}

async function readState(log: AuditLog): Promise<LogState> {
  const [topicList, positions] = [await log.describe(), await log.positions()]
  return { topics: topicList, positions }
}

/** One row per stage and partition; `gaps` and `overlaps` count ranges that do not begin where the one before ended. */
async function readLedger(warehouse: Warehouse): Promise<LedgerSum[]> {
  return warehouse.query<LedgerSum>(
    `select stage, topic, partition, count() as batches, sum(batch_in) as received, sum(batch_out) as sent,
       sum(batch_dropped) as dropped, sum(batch_diverted) as diverted, sum(batch_dead) as dead, min(from_offset) as first, max(until_offset) as last,
       countIf(from_offset > previous) as gaps, countIf(from_offset < previous) as overlaps, countIf(batch_in != batch_out + batch_dropped + batch_diverted + batch_dead) as unequal
     from (
       select stage, topic, partition, from_offset, until_offset, \`in\` as batch_in, \`out\` as batch_out, dropped as batch_dropped, diverted as batch_diverted, dead_lettered as batch_dead,
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
  if (Number(row.gaps) > 0) faults.push(`${row.gaps} batches begin after the one before ended: a gap.`)
  if (Number(row.overlaps) > 0)
    faults.push(`${row.overlaps} batches begin before the one before ended: an overlap.`)
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
  for (const { stage, topic } of proofs) {
    const records = endOf(log, [topic])
    if (records > 0 && !log.positions.some(({ group }) => group === stage))
      waiting.set(stage, { stage, topic, records })
  }
  return [...waiting.values()]
}

/** Groups whose work is in the ledger, and how far: at rest, up to their positions. */
function missingLedgers(stages: readonly StageSum[], log: LogState): string[] {
  return log.positions.flatMap(({ group, topic, partition, position }) => {
    if (position === 0 || topic === topics.ledger || topic === topics.drops || topic.startsWith('__'))
      return []
    const sum = stages.find(
      (stage) => stage.stage === group && stage.topic === topic && stage.partition === partition,
    )
    const until = sum?.until ?? 0
    return until >= position
      ? []
      : [`${group}, ${topic}/${partition}: the position is ${position}, but the ledger ends at ${until}.`]
  })
}

type Counted = RowSum & { pending: number }

/** Rows up to the position that the dataset's group has settled in each partition. */
async function countTables(
  ports: { warehouse: Warehouse; database: Database },
  log: LogState,
): Promise<Counted[]> {
  const [deletions] = await ports.database.query<{ finished: string | null; pending: string | null }>(
    `select sum(events_deleted) filter (where stage = 'finished')::text as finished,
       sum(events_deleted) filter (where stage <> 'finished')::text as pending from rowmill_deletion`,
  )
  const sums: Counted[] = []
  for (const { table, topic, group } of countedTables) {
    const settled = settledOf(log, topic, group)
    const parameters = { topic, group, partitions: [...settled.keys()], positions: [...settled.values()] }
    const until =
      'transform(toInt64({column}), {partitions:Array(Int64)}, {positions:Array(Int64)}, toInt64(0))'
    const [count] = await ports.warehouse.query<{ rows: string }>(
      `select count() as rows from ${table} where toInt64(_offset) < ${until.replace('{column}', '_partition')}`,
      { parameters },
    )
    const [refused] = await ports.warehouse.query<{ records: string }>(
      `select count() as records from drops where ended = 'dead-letter' and topic = {topic:String}
       and stage = {group:String} and offset < ${until.replace('{column}', 'partition')}`,
      { parameters },
    )
    const isEvents = table === 'events'
    sums.push({
      table,
      topic,
      expected: [...settled.values()].reduce((sum, end) => sum + end, 0) - Number(refused?.records ?? 0),
      rows: Number(count?.rows ?? 0),
      deleted: isEvents ? Number(deletions?.finished ?? 0) : 0,
      pending: isEvents ? Number(deletions?.pending ?? 0) : 0,
    })
  }
  return sums
}

function compareRows(sum: Counted, isSettled: boolean): string[] {
  const most = sum.rows + sum.deleted + sum.pending
  const least = sum.rows + sum.deleted
  // A refusal is known only when its own record has become a row.
  const isShort = most < sum.expected && isSettled
  if (!isShort && least <= sum.expected) return []
  return [
    `${sum.table} holds ${sum.rows} rows (${sum.deleted} deleted on request), but ${sum.expected} records of ${sum.topic} were written.`,
  ]
}

/** Per partition, how far the group has come. */
function settledOf(log: LogState, topic: string, group: string): Map<number, number> {
  return new Map(
    log.positions
      .filter((entry) => entry.topic === topic && entry.group === group)
      .map(({ partition, position }) => [partition, position]),
  )
}

async function readDrops(warehouse: Warehouse): Promise<Record<string, number>> {
  const rows = await warehouse.query<{ reason: string; events: string }>(
    'select reason, count() as events from drops group by reason order by events desc, reason',
  )
  return Object.fromEntries(rows.map((row) => [row.reason, Number(row.events)]))
}
