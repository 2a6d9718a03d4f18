/**
 * Message processors: messages per second on one core, from records to the bytes of an insert, beside
 * `JSON.parse` alone of the same bytes in the same run. The payloads are the everyday ones of
 * `test/processors/payloads`: those named here, else those whose names begin with `everyday`.
 * Each processor has a process of its own; rounds are interleaved and the median counts. Prints one JSON line.
 * `node bench/processors.ts [processor …]`
 *
 * The reference figures are those of Snuba's Rust processors, one thread of a machine of this kind.
 */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ProcessorContext, RowFormat } from '../src/datasets/processor/processor.ts'
import { runBatch } from '../src/datasets/processor/run-batch.ts'
import { loadBuiltInProcessor } from '../src/datasets/processors/registry.ts'
import type { LogRecord } from '../src/ports/log.ts'

const rounds = 9
const roundMs = 60
const batchMessages = 500
const nowMs = 1_700_000_000_000

type Results = Record<string, NonNullable<Awaited<ReturnType<typeof measure>>>>

type Measured = { folder: string; format?: RowFormat; reference?: number; everyday?: readonly string[] }

/** By processor: where its payloads are, and what the reference does. */
const measured: Readonly<Record<string, Measured>> = {
  errors: { folder: 'errors', reference: 34_700 },
  eap_items: { folder: 'eap_items', reference: 170_000 },
  generic_metrics_counters: { folder: 'generic_metrics_counters_raw', reference: 580_000 },
  metrics: { folder: 'metrics_raw', reference: 286_000 },
  functions: { folder: 'functions_raw', reference: 154_000 },
  profiles: { folder: 'profiles', reference: 313_000 },
  profile_chunks: { folder: 'profile_chunks', reference: 680_000 },
  replays: {
    folder: 'replays',
    reference: 50_000,
    everyday: ['archived', 'clicks', 'event-link', 'segment', 'segment-as-an-object', 'viewed'],
  },
  outcomes: {
    folder: 'outcomes_raw',
    reference: 620_000,
    everyday: [
      'accepted',
      'client-discard-of-a-free-text',
      'client-discard-of-a-known-reason',
      'filtered-with-event-id',
      'nulls',
      'rate-limited',
    ],
  },
  llm_proxy_cost: { folder: 'llm_proxy_cost_raw', reference: 266_000 },
  querylog: { folder: 'querylog', reference: 63_000 },
  transactions: { folder: 'transactions' },
  search_issues: { folder: 'search_issues' },
  group_attributes: { folder: 'group_attributes' },
  groupedmessages: { folder: 'groupedmessages', everyday: ['delete', 'insert', 'update'] },
  groupassignees: { folder: 'groupassignees', everyday: ['delete', 'insert', 'update-without-a-moved-key'] },
}
/** Measured besides, under a name of its own, where a processor has a second format. */
const seconds: Readonly<Record<string, Measured & { processor: string }>> = {
  eap_items_row_binary: {
    processor: 'eap_items',
    folder: 'eap_items',
    format: 'RowBinary',
    reference: 164_000,
  },
  ...Object.fromEntries(
    ['outcomes', 'metrics', 'generic_metrics_counters', 'llm_proxy_cost'].flatMap((processor) => {
      const what = measured[processor]
      return what === undefined
        ? []
        : [[`${processor}_native`, { ...what, processor, format: 'Native' as const }] as const]
    }),
  ),
}

let uuids = 0
const context = (format: RowFormat): ProcessorContext => ({
  storage: 'bench',
  format,
  retention: { defaultDays: 90, lowerDays: 30, validDays: [30, 90] },
  options: {},
  live: () => noOptions,
  nowMs: () => nowMs,
  uuid: () => `00000000-0000-4000-8000-${(++uuids).toString(16).padStart(12, '0')}`,
  count: () => {},
})
const noOptions = {}

function recordOf(value: Buffer, offset: number): LogRecord {
  return { topic: 'bench', partition: 0, offset, timestampMs: nowMs, key: null, value, headers: {} }
}

function readPayloads({ folder, everyday }: Measured, isUsable: (value: Buffer) => boolean): Buffer[] {
  const root = new URL('../test/processors/payloads/', import.meta.url)
  const names = everyday ?? ['everyday*']
  return globSync(
    names.map((name) => `${folder}/${name}.{json,bin}`),
    { cwd: root },
  )
    .filter((path) => !path.endsWith('.rows.json'))
    .toSorted()
    .map((path) => readFileSync(new URL(path, root)))
    .filter(isUsable)
}

/** By the thread's own processor time: others on the machine do not count. */
function perSecond(run: () => void): number {
  const started = process.threadCpuUsage()
  let messages = 0
  let elapsedMicros = 0
  while (elapsedMicros < roundMs * 1000) {
    run()
    messages += batchMessages
    const { user, system } = process.threadCpuUsage(started)
    elapsedMicros = user + system
  }
  return (messages * 1e6) / elapsedMicros
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0
}

async function measure(name: string, what: Measured) {
  const { format = 'JSONEachRow', reference } = what
  const create = await loadBuiltInProcessor(name)
  if (create === undefined) return undefined
  const processor = create(context(format))
  const payloads = readPayloads(
    what,
    (value) => runBatch(processor, [recordOf(value, 1)], 1).endings.get(0)?.kind !== 'invalid',
  )
  const first = payloads[0]
  if (first === undefined) return undefined
  const records = Array.from({ length: batchMessages }, (_, index) =>
    recordOf(payloads[index % payloads.length] ?? first, 1_000_000 + index),
  )
  const processAll = () => {
    for (const rows of runBatch(processor, records, 1).rows) rows.slice(0, rows.rows)
  }
  const parseAll = () => {
    for (const { value } of records) JSON.parse(value.toString())
  }
  const isJson = first[0] === 0x7b || first[0] === 0x5b
  const figures: { process: number[]; parse: number[] } = { process: [], parse: [] }
  for (let round = -2; round < rounds; round++) {
    const processed = perSecond(processAll)
    const parsed = isJson ? perSecond(parseAll) : 0
    if (round < 0) continue
    figures.process.push(processed)
    figures.parse.push(parsed)
  }
  const perMessage =
    runBatch(processor, records, 1).rows.reduce((sum, { rows }) => sum + rows, 0) / records.length
  const messagesPerSecond = Math.round(median(figures.process))
  return {
    messagesPerSecond,
    parsePerSecond: isJson ? Math.round(median(figures.parse)) : undefined,
    bytesPerMessage: Math.round(payloads.reduce((sum, { length }) => sum + length, 0) / payloads.length),
    payloads: payloads.length,
    rowsPerMessage: Math.round(perMessage * 1000) / 1000,
    reference,
    ratio: reference === undefined ? undefined : Math.round((messagesPerSecond / reference) * 100) / 100,
  }
}

async function measureHere(label: string): Promise<Results> {
  const second = seconds[label]
  const what = second ?? measured[label]
  const result = what === undefined ? undefined : await measure(second?.processor ?? label, what)
  return result === undefined ? {} : { [label]: result }
}

/** A processor in every format that it is measured in. */
function labelsOf(name: string): string[] {
  return [name, ...Object.keys(seconds).filter((label) => seconds[label]?.processor === name)]
}

/** In a process of its own, as a consumer runs one processor: V8 compiles it for its own messages alone. */
function measureApart(label: string): Results {
  const printed = execFileSync(process.execPath, [fileURLToPath(import.meta.url), label], {
    env: { ...process.env, BENCH_HERE: 'true' },
  })
  return JSON.parse(printed.toString()).processors
}

const wanted = process.argv.slice(2)
const results: Results = {}
if (process.env.BENCH_HERE === 'true')
  for (const label of wanted) Object.assign(results, await measureHere(label))
else
  for (const name of wanted.length > 0 ? wanted : Object.keys(measured))
    for (const label of labelsOf(name)) Object.assign(results, measureApart(label))
const ratios = Object.values(results).flatMap(({ ratio }) => (ratio === undefined ? [] : [ratio]))
const geometricMean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length)
process.stdout.write(
  `${JSON.stringify({
    bench: 'processors',
    processors: results,
    geometricMeanOfRatios: Math.round(geometricMean * 100) / 100,
  })}\n`,
)
