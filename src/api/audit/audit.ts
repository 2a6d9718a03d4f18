/**
 * Proves the promise with sums. From the log's own offsets, the ledger and the row counts it checks that
 *
 * 1. each stage's ranges tile its partitions: no gap, no overlap, from the start to its position;
 * 2. in every range `in = out + dropped + diverted + dead_lettered`;
 * 3. what ingest says it wrote is what stands on the topics of ready records and drops;
 * 4. the rows in the warehouse are as many as the records that the datasets say they wrote.
 *
 * Offsets may have gaps, as transactions leave them on Kafka, on topics that stages write to. There records are
 * counted: what the ledger says was written against what it says was read. A topic that capture alone writes has none.
 *
 * What waits on the log is no fault: it is counted and named. The audit is *balanced* when nothing
 * contradicts, and *settled* when nothing waits. It may run while events arrive: rows are counted up to the
 * positions that it began with, and what can only be compared at rest is compared when nothing waits and the
 * log has not moved meanwhile. Where the tables were filled from another log before, only what came from the
 * present one is added up.
 */
import { capturedTopics, topics } from '../../event/topics.ts'
import type { Database } from '../../ports/database.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import {
  type AuditLog,
  countRecords,
  endOf,
  findWaiting,
  type LogState,
  readLogState,
  settledOf,
  type Waiting,
} from './log-state.ts'

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
  waiting: readonly Waiting[]
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

export async function audit(
  ports: { warehouse: Warehouse; database: Database },
  source: AuditLog,
): Promise<AuditReport> {
  const { warehouse } = ports
  const since = await readSince(ports.database)
  const known = new Set((await readLedger(warehouse, since)).map(({ stage }) => stage))
  const log = await readLogState(source, known)
  const counted = await countTables(ports, log, since)
  const outputs = await readOutputs(warehouse, since)
  const drops = await readDrops(warehouse, since)
  const ledger = await readLedger(warehouse, since)
  const waiting = await findWaiting(source, log)
  const after = await readLogState(source, known)
  const isSettled = waiting.length === 0 && JSON.stringify(after) === JSON.stringify(log)
  const stages = ledger.map((row) => stageSum(row, { log: after, outputs }))
  const sums = stages.map(({ sum }) => sum)
  const problems = stages.flatMap(({ sum, faults }) =>
    faults.map((fault) => `${sum.stage}, ${sum.topic}/${sum.partition}: ${fault}`),
  )
  if (isSettled) problems.push(...compareOutputs(outputs, log, sums), ...missingLedgers(sums, log))
  const tables = isSettled ? await recount(source, counted, { log, stages: sums }) : counted
  problems.push(...tables.flatMap((sum) => compareRows(sum, isSettled)))
  return {
    isBalanced: problems.length === 0,
    isSettled,
    captured: capturedRecords(log, { outputs, stages: sums, waiting }),
    rows: tables.find(({ table }) => table === 'events')?.rows ?? 0,
    drops,
    waiting,
    stages: sums,
    tables: tables.map(({ pending: _pending, group: _group, ...sum }) => sum),
    problems,
  }
}

/** When the tables began to be filled from the log that is in use; the epoch where there was never another. */
async function readSince(database: Database): Promise<string> {
  const [row] = await database.query<{ since: string }>(
    `select to_char(began_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as since
     from rowmill_log where number > 0 order by number desc limit 1`,
  )
  return row?.since ?? '1970-01-01 00:00:00.000000'
}

type Outputs = ReadonlyMap<string, number>

/** Ends of topics that capture alone writes, and what ingest has read of those that stages write to as well. */
function capturedRecords(
  log: LogState,
  {
    outputs,
    stages,
    waiting,
  }: { outputs: Outputs; stages: readonly StageSum[]; waiting: readonly Waiting[] },
): number {
  const [mixed, pure] = [
    capturedTopics.filter((topic) => outputs.has(topic)),
    capturedTopics.filter((topic) => !outputs.has(topic)),
  ]
  const isMixed = ({ topic, stage }: { topic: string; stage: string }) =>
    mixed.some((name) => name === topic) && stage.startsWith('ingest')
  const read = stages.filter(isMixed).reduce((sum, stage) => sum + stage.in, 0)
  const unread = waiting.filter(isMixed).reduce((sum, { records }) => sum + records, 0)
  return endOf(log, pure) + read + unread - divertedTo(outputs, capturedTopics)
}

/** One row per stage and partition; `gaps` and `overlaps` count ranges that do not begin where the one before ended. */
async function readLedger(warehouse: Warehouse, since: string): Promise<LedgerSum[]> {
  return warehouse.query<LedgerSum>(
    `select stage, topic, partition, count() as batches, sum(batch_in) as received, sum(batch_out) as sent,
       sum(batch_dropped) as dropped, sum(batch_diverted) as diverted, sum(batch_dead) as dead, min(from_offset) as first, max(until_offset) as last,
       countIf(from_offset > previous) as gaps, countIf(from_offset < previous) as overlaps, countIf(batch_in != batch_out + batch_dropped + batch_diverted + batch_dead) as unequal
     from (
       select stage, topic, partition, from_offset, until_offset, \`in\` as batch_in, \`out\` as batch_out, dropped as batch_dropped, diverted as batch_diverted, dead_lettered as batch_dead,
         lagInFrame(until_offset, 1, from_offset) over (partition by stage, topic, partition order by from_offset
           rows between 1 preceding and current row) as previous
       from ledger where time >= {since:DateTime64(6)}
     )
     group by stage, topic, partition order by stage, topic, partition`,
    { parameters: { since } },
  )
}

function stageSum(
  row: LedgerSum,
  { log, outputs }: { log: LogState; outputs: Outputs },
): { sum: StageSum; faults: string[] } {
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
  const offsets = sum.until - sum.from
  if (sum.in > offsets || (sum.in < offsets && !outputs.has(row.topic)))
    faults.push(`${sum.in} records were counted between the offsets ${sum.from} and ${sum.until}.`)
  return { sum, faults }
}

/** Records that each stage wrote to each topic, by the ledger. */
async function readOutputs(warehouse: Warehouse, since: string): Promise<Map<string, number>> {
  const rows = await warehouse.query<{ topic: string; records: string }>(
    `select pair.1 as topic, sum(pair.2) as records
     from (select arrayJoin(arrayZip(mapKeys(outputs), mapValues(outputs))) as pair from ledger
       where time >= {since:DateTime64(6)}) group by topic`,
    { parameters: { since } },
  )
  return new Map(rows.map((row) => [row.topic, Number(row.records)]))
}

/** Topics that only ingest writes, and who reads them. */
const ingestAlone = [
  { topic: topics.readyEvents, group: 'datasets-events' },
  { topic: topics.readyHeatmaps, group: 'datasets-heatmaps' },
] as const

/** Only ingest writes these topics: they hold what its ledger says, by their ends or by what was read of them. */
function compareOutputs(outputs: Outputs, log: LogState, stages: readonly StageSum[]): string[] {
  return ingestAlone.flatMap(({ topic, group }) => {
    const end = endOf(log, [topic])
    const written = outputs.get(topic) ?? 0
    const held = end > written ? readOf(stages, { topic, group }) : end
    return held === written
      ? []
      : [`${topic} holds ${held} records, but the ledger says that ${written} were written.`]
  })
}

/** Records of a topic that a group has settled, by its ledger. */
function readOf(stages: readonly StageSum[], { topic, group }: { topic: string; group: string }): number {
  return stages
    .filter((stage) => stage.topic === topic && stage.stage === group)
    .reduce((sum, stage) => sum + stage.in, 0)
}

function divertedTo(outputs: Outputs, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (outputs.get(name) ?? 0), 0)
}

/** Groups whose work is in the ledger, and how far: at rest, up to their positions. */
function missingLedgers(stages: readonly StageSum[], log: LogState): string[] {
  return log.positions.flatMap(({ group, topic, partition, position }) => {
    const hasNone = topic === topics.ledger || topic === topics.drops || topic === topics.dedup
    if (position === 0 || hasNone || topic.startsWith('__')) return []
    const sum = stages.find(
      (stage) => stage.stage === group && stage.topic === topic && stage.partition === partition,
    )
    const until = sum?.until ?? 0
    return until >= position
      ? []
      : [`${group}, ${topic}/${partition}: the position is ${position}, but the ledger ends at ${until}.`]
  })
}

type Counted = RowSum & { group: string; pending: number }

/** Rows up to the position that the dataset's group has settled in each partition. */
async function countTables(
  ports: { warehouse: Warehouse; database: Database },
  log: LogState,
  since: string,
): Promise<Counted[]> {
  const [deletions] = await ports.database.query<{ finished: string | null; pending: string | null }>(
    `select sum(events_deleted) filter (where stage = 'finished')::text as finished,
       sum(events_deleted) filter (where stage <> 'finished')::text as pending from rowmill_deletion`,
  )
  const sums: Counted[] = []
  for (const { table, topic, group } of countedTables) {
    const settled = settledOf(log, topic, group)
    const places = { partitions: [...settled.keys()], positions: [...settled.values()] }
    const parameters = { topic, group, since, ...places }
    // Only whole seconds are kept of the time of an event's record.
    const began =
      table === 'drops'
        ? 'time >= {since:DateTime64(6)}'
        : '_timestamp >= toStartOfSecond({since:DateTime64(6)})'
    const until =
      'transform(toInt64({column}), {partitions:Array(Int64)}, {positions:Array(Int64)}, toInt64(0))'
    const [count] = await ports.warehouse.query<{ rows: string }>(
      `select count() as rows from ${table} where toInt64(_offset) < ${until.replace('{column}', '_partition')} and ${began}`,
      { parameters },
    )
    const [refused] = await ports.warehouse.query<{ records: string }>(
      `select count() as records from drops where ended = 'dead-letter' and topic = {topic:String}
       and stage = {group:String} and offset < ${until.replace('{column}', 'partition')} and time >= {since:DateTime64(6)}`,
      { parameters },
    )
    const isEvents = table === 'events'
    sums.push({
      table,
      topic,
      group,
      expected: [...settled.values()].reduce((sum, end) => sum + end, 0) - Number(refused?.records ?? 0),
      rows: Number(count?.rows ?? 0),
      deleted: isEvents ? Number(deletions?.finished ?? 0) : 0,
      pending: isEvents ? Number(deletions?.pending ?? 0) : 0,
    })
  }
  return sums
}

/** At rest, what is expected by positions and not there is counted by records: positions may span gaps. */
async function recount(
  source: AuditLog,
  counted: readonly Counted[],
  { log, stages }: { log: LogState; stages: readonly StageSum[] },
): Promise<Counted[]> {
  const sums: Counted[] = []
  for (const sum of counted) {
    const { topic, group, expected } = sum
    if (sum.rows + sum.deleted + sum.pending >= expected) {
      sums.push(sum)
      continue
    }
    const settled = settledOf(log, topic, group)
    const offsets = [...settled.values()].reduce((total, end) => total + end, 0)
    // The group of the drops has no ledger: its rows would feed it for ever.
    const records =
      topic === topics.drops ? await countRecords(source, topic, settled) : readOf(stages, { topic, group })
    sums.push({ ...sum, expected: expected - (offsets - records) })
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

async function readDrops(warehouse: Warehouse, since: string): Promise<Record<string, number>> {
  const rows = await warehouse.query<{ reason: string; events: string }>(
    `select reason, count() as events from drops where time >= {since:DateTime64(6)}
     group by reason order by events desc, reason`,
    { parameters: { since } },
  )
  return Object.fromEntries(rows.map((row) => [row.reason, Number(row.events)]))
}
