/** Items of traces, written down plainly after Snuba's EAPItemsProcessor. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type ProcessorContext,
} from '../../../src/datasets/processor/processor.ts'
import { JsonFloat, type LosslessValue } from '../../../src/std/lossless-json.ts'
import { parseUuid } from '../../../src/std/uuid.ts'
import { readFields } from './protobuf-fields.ts'

type AnyValue =
  | { kind: 'string'; value: string }
  | { kind: 'bool'; value: boolean }
  | { kind: 'int'; value: bigint }
  | { kind: 'float'; value: number }
  | { kind: 'array'; values: AnyValue[] }
  | { kind: 'other' }
type Item = {
  organizationId: bigint
  projectId: bigint
  traceId: string
  itemId: Uint8Array
  itemType: number
  timestamp: bigint | undefined
  attributes: Map<string, AnyValue>
  clientSampleRate: number
  serverSampleRate: number
  conversationId: string
  sessionId: string
  retentionDays: number
  received: bigint | undefined
  downsampledRetentionDays: number
}

const spanType = 1
const metricType = 8
const buckets = 40
const dayMs = 86_400_000
const nilUuid = '00000000-0000-0000-0000-000000000000'

export const createProcessor: CreateProcessor = (context) => {
  if (context.format !== 'JSONEachRow') throw new Error('The plain processor writes JSONEachRow only.')
  return {
    process({ value, timestampMs }, output) {
      const item = decode(value)
      if (item.timestamp !== undefined) checkPartition(Number(item.timestamp) * 1000, context)
      output.row({ ...columnsOf(item, context), ...receivedAt(timestampMs, context) })
    },
  }
}

function decode(bytes: Uint8Array): Item {
  const item: Item = {
    organizationId: 0n,
    projectId: 0n,
    traceId: '',
    itemId: new Uint8Array(),
    itemType: 0,
    timestamp: undefined,
    attributes: new Map(),
    clientSampleRate: 0,
    serverSampleRate: 0,
    conversationId: '',
    sessionId: '',
    retentionDays: 0,
    received: undefined,
    downsampledRetentionDays: 0,
  }
  for (const field of readFields(bytes, 0)) {
    if (field.number === 1) item.organizationId = field.varint()
    if (field.number === 2) item.projectId = field.varint()
    if (field.number === 3) item.traceId = field.text()
    if (field.number === 4) item.itemId = field.bytes()
    if (field.number === 5) item.itemType = Number(BigInt.asIntN(32, field.varint()))
    if (field.number === 6) item.timestamp = readSeconds(field.bytes(), item.timestamp)
    if (field.number === 7) addAttribute(item.attributes, field.bytes())
    if (field.number === 8) item.clientSampleRate = field.double()
    if (field.number === 9) item.serverSampleRate = field.double()
    if (field.number === 10) item.conversationId = field.text()
    if (field.number === 11) item.sessionId = field.text()
    if (field.number === 100) item.retentionDays = Number(BigInt.asUintN(32, field.varint()))
    if (field.number === 101) item.received = readSeconds(field.bytes(), item.received)
    if (field.number === 102) item.downsampledRetentionDays = Number(BigInt.asUintN(32, field.varint()))
    if (field.number === 110) checkOutcomes(field.bytes())
  }
  return item
}

function readSeconds(bytes: Uint8Array, before: bigint | undefined): bigint {
  let seconds = before ?? 0n
  for (const field of readFields(bytes, 1)) {
    if (field.number === 1) seconds = BigInt.asIntN(64, field.varint())
    if (field.number === 2) field.varint()
  }
  return seconds
}

/** They make nothing of a row, but have to be right. */
function checkOutcomes(bytes: Uint8Array): void {
  for (const field of readFields(bytes, 1)) {
    if (field.number === 2) field.varint()
    if (field.number !== 1) continue
    for (const part of readFields(field.bytes(), 2)) if (part.number === 1 || part.number === 2) part.varint()
  }
}

function addAttribute(attributes: Map<string, AnyValue>, bytes: Uint8Array, depth = 1): void {
  let key = ''
  let value: AnyValue = { kind: 'other' }
  for (const field of readFields(bytes, depth)) {
    if (field.number === 1) key = field.text()
    if (field.number === 2) value = readAny(field.bytes(), depth + 1, value)
  }
  attributes.set(key, value)
}

/** Of several kinds of value in one the last counts; arrays are put together. */
function readAny(bytes: Uint8Array, depth: number, before: AnyValue = { kind: 'other' }): AnyValue {
  let value = before
  for (const field of readFields(bytes, depth)) {
    if (field.number === 1) value = { kind: 'string', value: field.text() }
    if (field.number === 2) value = { kind: 'bool', value: field.varint() !== 0n }
    if (field.number === 3) value = { kind: 'int', value: BigInt.asIntN(64, field.varint()) }
    if (field.number === 4) value = { kind: 'float', value: field.double() }
    if (field.number === 5) {
      const values = value.kind === 'array' ? value.values : []
      for (const item of readFields(field.bytes(), depth + 1))
        if (item.number === 1) values.push(readAny(item.bytes(), depth + 2))
      value = { kind: 'array', values }
    }
    if (field.number === 6) {
      for (const pair of readFields(field.bytes(), depth + 1))
        if (pair.number === 1) addAttribute(new Map(), pair.bytes(), depth + 2)
      value = { kind: 'other' }
    }
    if (field.number === 7) {
      field.bytes()
      value = { kind: 'other' }
    }
  }
  return value
}

/** An item of another week than the current one is set aside, outside of a time of grace around its ends. */
function checkPartition(eventMs: number, { live, storage, nowMs }: ProcessorContext): void {
  const minutes = Object(live().eap_items_dlq_grace_period_min)[storage]
  if (!Number.isInteger(minutes) || minutes < 0) return
  const now = nowMs()
  const day = Math.floor(now / dayMs)
  // The first of January 1970 was a Thursday: the third day of a week, counted from 0.
  const monday = (day - ((day + 3) % 7)) * dayMs
  const nextMonday = monday + 7 * dayMs
  const isPast = eventMs < monday && now >= monday + minutes * 60_000
  const isFuture = eventMs >= nextMonday && now < nextMonday - minutes * 60_000
  if (isPast || isFuture) throw new InvalidMessage('The item is of another week.', { isSilent: true })
}

function receivedAt(timestampMs: number, { live }: ProcessorContext): { received_at?: number } {
  const isOn = live().eap_items_emit_received_at
  return isOn === true ? { received_at: timestampMs } : {}
}

function columnsOf(item: Item, { retention, nowMs, uuid }: ProcessorContext) {
  if (item.timestamp === undefined) throw new InvalidMessage('There is no timestamp.', { path: 'timestamp' })
  const traceId = parseUuid(item.traceId)
  if (traceId === undefined) throw new InvalidMessage('Expected a UUID.', { path: 'trace_id' })
  if (item.itemId.length < 16) throw new InvalidMessage('Expected 16 bytes.', { path: 'item_id' })
  const session = parseUuid(item.sessionId)
  const days = enforceRetention(item.retentionDays % 65_536, retention)
  const attributes = new Attributes()
  for (const [key, value] of item.attributes) attributes.add(key, value)
  attributes.addInteger('sentry._internal.ingested_at', BigInt(nowMs()))
  if (item.received !== undefined && isDate(item.received))
    attributes.addInteger('sentry._internal.received_at', item.received)
  const client = rate(item.clientSampleRate)
  const server = rate(item.serverSampleRate)
  const factor = Math.max(Math.round(client * server * 1e6) / 1e6, 1e-6)
  return {
    organization_id: item.organizationId,
    project_id: item.projectId,
    item_type: item.itemType & 255,
    timestamp: BigInt.asUintN(32, item.timestamp),
    trace_id: traceId,
    session_id: session === undefined || session === nilUuid ? uuid() : session,
    ai_conversation_id: item.conversationId,
    item_id: itemId(item.itemId),
    indexed_name: indexedName(item),
    ...attributes.columns(),
    sampling_factor: new JsonFloat(factor),
    sampling_weight: Math.round(1 / factor),
    client_sample_rate: new JsonFloat(client),
    server_sample_rate: new JsonFloat(server),
    retention_days: days,
    downsampled_retention_days:
      item.downsampledRetentionDays > 0 ? item.downsampledRetentionDays % 65_536 : days,
  }
}

function indexedName({ itemType, attributes }: Item): string {
  const key = itemType === spanType ? 'sentry.op' : itemType === metricType ? 'sentry.metric.name' : undefined
  const value = key === undefined ? undefined : attributes.get(key)
  return value?.kind === 'string' ? value.value : ''
}

class Attributes {
  readonly #columns = new Map<string, Map<string, LosslessValue>>()

  add(key: string, value: AnyValue): void {
    if (value.kind === 'string') this.#set(`attributes_string_${bucketOf(key)}`, key, value.value)
    if (value.kind === 'float') this.#addFloat(key, value.value)
    if (value.kind === 'int') this.addInteger(key, value.value)
    if (value.kind === 'bool') this.#set('attributes_bool', key, value.value)
    if (value.kind === 'array') for (const item of value.values) this.#addItem(key, item)
  }

  /** Integers are floats too. */
  addInteger(key: string, value: bigint): void {
    this.#addFloat(key, Number(value))
    this.#set('attributes_int', key, value)
  }

  columns(): Record<string, LosslessValue> {
    return Object.fromEntries([...this.#columns].map(([name, map]) => [name, Object.fromEntries(map)]))
  }

  #addFloat(key: string, value: number): void {
    this.#set(`attributes_float_${bucketOf(key)}`, key, new JsonFloat(value))
  }

  #addItem(key: string, item: AnyValue): void {
    if (item.kind === 'float') this.#push('float', key, new JsonFloat(item.value))
    else if (item.kind !== 'array' && item.kind !== 'other') this.#push(item.kind, key, item.value)
  }

  #push(kind: string, key: string, item: LosslessValue): void {
    const column = `attributes_array_${kind}`
    const list = this.#columns.get(column)?.get(key)
    if (Array.isArray(list)) list.push(item)
    else this.#set(column, key, [item])
  }

  #set(column: string, key: string, value: LosslessValue): void {
    const map = this.#columns.get(column) ?? new Map<string, LosslessValue>()
    this.#columns.set(column, map.set(key, value))
  }
}

/** FNV-1a of 32 bits. */
function bucketOf(key: string): number {
  let sum = 2_166_136_261
  for (const byte of Buffer.from(key)) sum = Math.imul(sum ^ byte, 16_777_619)
  return (sum >>> 0) % buckets
}

/** A share in (0, 1]; anything else counts as all of it. */
function rate(value: number): number {
  return value > 0 && value <= 1 ? value : 1
}

/** The first 16 bytes, the lowest first. */
function itemId(bytes: Uint8Array): bigint {
  let id = 0n
  for (let at = 15; at >= 0; at--) id = id * 256n + BigInt(bytes[at] ?? 0)
  return id
}

/** Whether chrono has such a date. */
function isDate(seconds: bigint): boolean {
  return seconds >= -8_334_601_228_800n && seconds <= 8_210_266_876_799n
}
