/** The row of an item as JSON. Maps without entries are left out: they are the columns' defaults. */
import {
  constantPiece,
  doubleAt,
  type Piece,
  put,
  putAscii,
  putByte,
  putCopy,
  putText,
  putUnsigned,
  reserve,
  textOf,
  u64At,
} from '../../../std/arena.ts'
import { putUuid } from '../../../std/arena-uuid.ts'
import { floatText } from '../../../std/lossless-json.ts'
import { type AttributeName, attributeName, bucketCount, valueKinds } from './attributes.ts'
import type { ItemFacts } from './eap-items.ts'
import { type ElementLists, listElements } from './element-lists.ts'
import { signedOf, signedText, textMarks, unsignedText } from './proto-reader.ts'
import type { Bounds, Halves, TraceItem } from './trace-item.ts'

const ingestedAt = attributeName('sentry._internal.ingested_at')
const receivedAt = attributeName('sentry._internal.received_at')
/** More than the columns that every row has and the consumer's own attributes take. */
const rowBytesExtra = 2048
/** More than a number, a UUID or the name of a map column takes. */
const valueBytesExtra = 96

const columns = {
  organizationId: constantPiece('{"organization_id":'),
  projectId: constantPiece(',"project_id":'),
  itemType: constantPiece(',"item_type":'),
  timestamp: constantPiece(',"timestamp":'),
  traceId: constantPiece(',"trace_id":"'),
  sessionId: constantPiece('","session_id":"'),
  aiConversationId: constantPiece('","ai_conversation_id":'),
  itemId: constantPiece(',"item_id":'),
  indexedName: constantPiece(',"indexed_name":'),
  samplingFactor: constantPiece(',"sampling_factor":'),
  samplingWeight: constantPiece(',"sampling_weight":'),
  clientSampleRate: constantPiece(',"client_sample_rate":'),
  serverSampleRate: constantPiece(',"server_sample_rate":'),
  retentionDays: constantPiece(',"retention_days":'),
  downsampledRetentionDays: constantPiece(',"downsampled_retention_days":'),
  receivedAt: constantPiece(',"received_at":'),
}
const textColumns = columnNames('attributes_string_')
const floatColumns = columnNames('attributes_float_')
const boolColumn = constantPiece(',"attributes_bool":{')
const intColumn = constantPiece(',"attributes_int":{')

export function writeJsonRow(item: TraceItem, facts: ItemFacts): void {
  reserve(rowBytesExtra + item.conversationId.end - item.conversationId.start)
  writeFacts(item, facts)
  writeTexts(item)
  writeBools(item)
  writeInts(item, facts)
  writeFloats(item, facts)
  if (item.attributes.kindCounts[valueKinds.array] !== 0) writeArrays(item)
  reserve(1)
  putByte(0x7d)
}

function writeFacts(item: TraceItem, facts: ItemFacts): void {
  put(columns.organizationId)
  putId(item.organizationId)
  put(columns.projectId)
  putId(item.projectId)
  put(columns.itemType)
  putUnsigned(item.itemType & 0xff)
  put(columns.timestamp)
  putUnsigned(item.timestamp.low >>> 0)
  put(columns.traceId)
  putUuidText(facts.traceId)
  put(columns.sessionId)
  putUuidText(facts.sessionId)
  put(columns.aiConversationId)
  writeText(item.conversationId)
  put(columns.itemId)
  putAscii(itemIdText(item))
  put(columns.indexedName)
  writeText(nameOf(item, facts))
  reserve(rowBytesExtra)
  put(columns.samplingFactor)
  putFloat(facts.samplingFactor)
  put(columns.samplingWeight)
  putUnsigned(facts.samplingWeight)
  put(columns.clientSampleRate)
  putFloat(facts.clientSampleRate)
  put(columns.serverSampleRate)
  putFloat(facts.serverSampleRate)
  put(columns.retentionDays)
  putUnsigned(facts.retentionDays)
  put(columns.downsampledRetentionDays)
  putUnsigned(facts.downsampledRetentionDays)
  if (facts.recordAtMs !== undefined) {
    put(columns.receivedAt)
    putUnsigned(facts.recordAtMs)
  }
}

function putId({ low, high }: Halves): void {
  if (high === 0) putUnsigned(low >>> 0)
  else putAscii(unsignedText(low, high))
}

/** Whole numbers, which most are, without making a text first. */
function putFloat(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) putAscii(floatText(value))
  else {
    putUnsigned(value)
    putByte(0x2e)
    putByte(0x30)
  }
}

/** A UUID: its 32 digits in the arena, or its text. */
function putUuidText(uuid: number | string): void {
  if (typeof uuid === 'number') putUuid(uuid)
  else putAscii(uuid)
}

function itemIdText({ itemId }: TraceItem): string {
  const low = u64At(itemId.start)
  const high = u64At(itemId.start + 8)
  return ((high << 64n) | low).toString()
}

export function nameOf({ attributes }: TraceItem, { nameAttribute }: ItemFacts): Bounds {
  if (nameAttribute < 0) return { start: 0, end: 0, marks: 0 }
  return {
    start: attributes.a(nameAttribute),
    end: attributes.b(nameAttribute),
    marks: attributes.valueMarks(nameAttribute),
  }
}

function writeTexts({ attributes }: TraceItem): void {
  if (attributes.kindCounts[valueKinds.text] === 0) return
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    const size = attributes.bucketSizes[bucket] ?? 0
    if (size === 0) continue
    reserve(valueBytesExtra)
    put(textColumns[bucket] ?? boolColumn)
    let index = attributes.firsts[bucket] ?? 0
    for (let count = 0; count < size; count++) {
      if (count > 0) putByte(0x2c)
      writeKey(attributes, index)
      const start = attributes.a(index)
      writeText({ start, end: attributes.b(index), marks: attributes.valueMarks(index) })
      index = attributes.next(index)
    }
    putByte(0x7d)
  }
}

function writeFloats({ attributes }: TraceItem, facts: ItemFacts): void {
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    const size = attributes.bucketSizes[bucketCount + bucket] ?? 0
    const isOwn =
      bucket === ingestedAt.bucket || (bucket === receivedAt.bucket && facts.receivedAt !== undefined)
    if (size === 0 && !isOwn) continue
    reserve(valueBytesExtra)
    put(floatColumns[bucket] ?? boolColumn)
    let index = attributes.firsts[bucketCount + bucket] ?? 0
    for (let count = 0; count < size; count++) {
      if (count > 0) putByte(0x2c)
      writeKey(attributes, index)
      reserve(valueBytesExtra)
      const value =
        attributes.kind(index) === valueKinds.int
          ? signedOf(attributes.a(index), attributes.b(index))
          : doubleAt(attributes.a(index))
      putFloat(value)
      index = attributes.next(index)
    }
    if (isOwn) writeOwnFloats(bucket, facts, size === 0)
    putByte(0x7d)
  }
}

/** The consumer's own attributes that belong to a bucket. */
function writeOwnFloats(bucket: number, facts: ItemFacts, isFirst: boolean): void {
  let needsComma = !isFirst
  reserve(2 * valueBytesExtra)
  for (const [name, value] of [
    [ingestedAt, facts.ingestedAtMs],
    [receivedAt, facts.receivedAt],
  ] as const) {
    if (name.bucket !== bucket || value === undefined) continue
    if (needsComma) putByte(0x2c)
    writeOwnKey(name)
    putFloat(value)
    needsComma = true
  }
}

function writeInts({ attributes }: TraceItem, facts: ItemFacts): void {
  reserve(3 * valueBytesExtra)
  put(intColumn)
  writeOwnKey(ingestedAt)
  putUnsigned(facts.ingestedAtMs)
  if (facts.receivedAt !== undefined) {
    putByte(0x2c)
    writeOwnKey(receivedAt)
    putAscii(String(facts.receivedAt))
  }
  if (attributes.kindCounts[valueKinds.int] !== 0)
    for (let index = 0; index < attributes.count; index++) {
      if (attributes.kind(index) !== valueKinds.int) continue
      putByte(0x2c)
      writeKey(attributes, index)
      putAscii(signedText(attributes.a(index), attributes.b(index)))
    }
  reserve(1)
  putByte(0x7d)
}

function writeBools({ attributes }: TraceItem): void {
  if (attributes.kindCounts[valueKinds.bool] === 0) return
  reserve(valueBytesExtra)
  put(boolColumn)
  let isFirst = true
  for (let index = 0; index < attributes.count; index++) {
    if (attributes.kind(index) !== valueKinds.bool) continue
    if (!isFirst) putByte(0x2c)
    isFirst = false
    writeKey(attributes, index)
    putAscii(attributes.a(index) === 1 ? 'true' : 'false')
  }
  putByte(0x7d)
}

function writeArrays({ attributes }: TraceItem): void {
  const maps: Record<keyof ElementLists, string[]> = { texts: [], ints: [], floats: [], bools: [] }
  for (let index = 0; index < attributes.count; index++) {
    if (attributes.kind(index) !== valueKinds.array) continue
    const key = JSON.stringify(textOf(attributes.keyStart(index), attributes.keyEnd(index)))
    const { texts, ints, floats, bools } = listElements(attributes.a(index), attributes.b(index))
    const quote = ({ start, end }: Bounds) => JSON.stringify(textOf(start, end))
    if (texts.length > 0) maps.texts.push(`${key}:[${texts.map(quote).join(',')}]`)
    if (ints.length > 0)
      maps.ints.push(`${key}:[${ints.map(({ low, high }) => signedText(low, high)).join(',')}]`)
    if (floats.length > 0) maps.floats.push(`${key}:[${floats.map(floatText).join(',')}]`)
    if (bools.length > 0) maps.bools.push(`${key}:[${bools.join(',')}]`)
  }
  writeMap('attributes_array_string', maps.texts)
  writeMap('attributes_array_int', maps.ints)
  writeMap('attributes_array_float', maps.floats)
  writeMap('attributes_array_bool', maps.bools)
}

function writeMap(column: string, entries: readonly string[]): void {
  if (entries.length === 0) return
  putText(`,"${column}":{${entries.join(',')}}`)
  reserve(valueBytesExtra)
}

/** Writes the name of an attribute and a colon, and leaves room for a number and the end of a map. */
function writeKey(attributes: TraceItem['attributes'], index: number): void {
  const start = attributes.keyStart(index)
  writeText({ start, end: attributes.keyEnd(index), marks: attributes.keyMarks(index) })
  putByte(0x3a)
}

function writeOwnKey(name: AttributeName): void {
  putByte(0x22)
  put(name)
  putByte(0x22)
  putByte(0x3a)
}

/** Writes a text as JSON and leaves room for what follows it. */
function writeText({ start, end, marks }: Bounds): void {
  reserve(end - start + valueBytesExtra)
  if ((marks & textMarks.escaped) === 0) {
    putByte(0x22)
    putCopy(start, end)
    putByte(0x22)
    return
  }
  putText(JSON.stringify(textOf(start, end)))
  reserve(valueBytesExtra)
}

function columnNames(prefix: string): readonly Piece[] {
  return Array.from({ length: bucketCount }, (_, bucket) => constantPiece(`,"${prefix}${bucket}":{`))
}
