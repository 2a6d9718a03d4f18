/**
 * Built-in processors against what is kept beside them: golden rows, and plain implementations that were
 * written from the facts alone. The engine is that of `rowmill prove`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { CreateProcessor, RowFormat } from '../../src/datasets/processor/processor.ts'
import {
  createMessage,
  createProofContext,
  endOf,
  type MessageEnd,
} from '../../src/datasets/processor/run-message.ts'
import { loadBuiltInProcessor } from '../../src/datasets/processors/registry.ts'
import { compareEnds, type Difference } from '../../src/datasets/prove/compare/compare.ts'
import { type Payload, readPayloads } from '../../src/datasets/prove/payloads.ts'
import { type FoundDifference, type Proof, prove } from '../../src/datasets/prove/prove.ts'
import { findStorage } from '../../src/datasets/storage/read-storage.ts'
import type { Storage } from '../../src/datasets/storage/storage.ts'
import { loadProcessor } from '../../src/datasets/user/load-processor.ts'
import type { LogHeaders } from '../../src/event/headers.ts'
import { type LosslessValue, parseLossless, stringifyLossless } from '../../src/std/lossless-json.ts'

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** A storage whose built-in processor is proved, with its payloads. */
export type Subject = { storage: Storage; processor: string; create: CreateProcessor; payloads: Payload[] }

/** Throws if the storage or its built-in processor does not exist; a missing folder means no payloads. */
export async function openSubject(name: string): Promise<Subject> {
  const storage = await findStorage(name)
  const processor = storage.processor.builtIn ?? ''
  const create = await loadBuiltInProcessor(processor)
  if (create === undefined) throw new Error(`${name} has no built-in processor ${processor}.`)
  const folder = pathOf(`payloads/${name}`)
  return { storage, processor, create, payloads: existsSync(folder) ? await readPayloads(folder) : [] }
}

/** Plain implementations, by the name of the processor that they are compared with. */
const plainFiles: Readonly<Record<string, URL>> = {
  eap_items: new URL('./plain/eap_items.ts', import.meta.url),
  errors: new URL('./plain/errors.ts', import.meta.url),
  functions: new URL('./plain/functions.ts', import.meta.url),
  generic_metrics_counters: new URL('./plain/generic_metrics_counters.ts', import.meta.url),
  group_attributes: new URL('./plain/group_attributes.ts', import.meta.url),
  groupassignees: new URL('./plain/groupassignees.ts', import.meta.url),
  groupedmessages: new URL('./plain/groupedmessages.ts', import.meta.url),
  llm_proxy_cost: new URL('./plain/llm_proxy_cost.ts', import.meta.url),
  metrics: new URL('./plain/metrics.ts', import.meta.url),
  outcomes: new URL('./plain/outcomes.ts', import.meta.url),
  profile_chunks: new URL('./plain/profile_chunks.ts', import.meta.url),
  profiles: new URL('./plain/profiles.ts', import.meta.url),
  querylog: new URL('./plain/querylog.ts', import.meta.url),
  replays: new URL('./plain/replays.ts', import.meta.url),
  search_issues: new URL('./plain/search_issues.ts', import.meta.url),
  transactions: new URL('./plain/transactions.ts', import.meta.url),
}

/** The plain implementation of a processor, if somebody has written it. */
export async function loadPlain(processor: string): Promise<CreateProcessor | undefined> {
  const url = plainFiles[processor]
  if (url === undefined || !existsSync(url)) return undefined
  return loadProcessor({ kind: 'module', file: fileURLToPath(url) })
}

/** Names of all payloads' folders. */
export async function payloadFolders(): Promise<string[]> {
  return (await readdir(pathOf('payloads'))).toSorted()
}

export type GoldenFinding = Difference & { payload: string }

/**
 * Where the built-in processor does not make the rows beside a payload: `[]` stands for a message without rows
 * that is not refused. A payload without such a file, whose name begins with `refused`, must be refused.
 */
export function compareGoldens({ storage, create, payloads }: Subject): {
  checked: number
  findings: GoldenFinding[]
} {
  const context = createProofContext({
    storage: storage.name,
    retention: storage.retention,
    options: storage.processor.options,
  })
  const processor = create(context)
  const findings: GoldenFinding[] = []
  let checked = 0
  for (const { name, value, headers } of payloads) {
    const golden = readGolden(storage.name, name)
    if (golden === undefined && !name.startsWith('refused')) continue
    checked++
    const end = endOf(processor, createMessage({ value, headers }), storage.tables.length)
    const found = golden === undefined ? refusal(end) : difference(storage, end, golden)
    if (found !== undefined) findings.push({ payload: name, ...found })
  }
  return { checked, findings }
}

function difference(
  storage: Storage,
  end: MessageEnd,
  golden: readonly LosslessValue[],
): Difference | undefined {
  if (golden.length === 0 && end.rows.length === 0 && end.kind !== 'invalid') return undefined
  const format = 'JSONEachRow' as const
  const rows = golden.map((row) => ({ table: 0, bytes: Buffer.from(`${stringifyLossless(row)}\n`) }))
  const wanted: MessageEnd = { kind: 'rows', rows }
  return compareEnds({ end, format }, { end: wanted, format }, { tables: storage.tables, ignore: new Set() })
}

function refusal(end: MessageEnd): Difference | undefined {
  if (end.kind === 'invalid' && end.reason !== 'processor_failed') return undefined
  return { path: 'ending', left: JSON.stringify(end), right: 'an InvalidMessage' }
}

function readGolden(storage: string, payload: string): readonly LosslessValue[] | undefined {
  const file = pathOf(`payloads/${storage}/${payload.replace(/\.\w+$/, '.rows.json')}`)
  if (!existsSync(file)) return undefined
  const rows = parseLossless(readFileSync(file))
  if (!Array.isArray(rows)) throw new TypeError(`${file} is no array of rows.`)
  return rows
}

export type Variant = {
  /** Headers of every payload beside its own. */
  headers?: LogHeaders
  live?: Readonly<Record<string, unknown>>
  format?: RowFormat
}

export type PlainProofOptions = { generate: number; seed: number; variant?: Variant; right: CreateProcessor }

/** The built-in processor at the left side, `right` at the other. */
export function provePlain(
  { storage, create, payloads }: Subject,
  { generate, seed, variant = {}, right }: PlainProofOptions,
): Proof {
  return prove({
    storage: {
      name: storage.name,
      tables: storage.tables,
      format: variant.format ?? 'JSONEachRow',
      retention: storage.retention,
      options: storage.processor.options,
      messageSchema: storage.stream.messageSchema,
    },
    left: create,
    right,
    payloads: payloads.map((payload) => ({
      ...payload,
      headers: { ...variant.headers, ...payload.headers },
    })),
    generate,
    seed,
    live: variant.live ?? {},
  })
}

/** For the message of an assertion. */
export function describeDifference({ value, ...rest }: FoundDifference): string {
  return JSON.stringify(
    { ...rest, message: value.toString('utf8'), base64: value.toString('base64') },
    null,
    2,
  )
}
