/**
 * The row of an item in RowBinary. There are no names in it: the columns are those of the storage's table
 * that are written, in the table's order. `received_at` is its default, 1970, unless the option is on.
 */
import {
  arenaBytes,
  cutRow,
  put,
  putByte,
  putCopy,
  putDouble,
  putI64,
  putU32,
  putVarint,
  reserve,
  rowEnd,
} from '../../../std/arena.ts'
import { type AttributeName, attributeName, bucketCount, valueKinds } from './attributes.ts'
import type { ItemFacts } from './eap-items.ts'
import { type ElementLists, listElements } from './element-lists.ts'
import { signedOf } from './proto-reader.ts'
import type { Bounds, Halves, TraceItem } from './trace-item.ts'
import { nameOf } from './write-json-row.ts'

const ingestedAt = attributeName('sentry._internal.ingested_at')
const receivedAt = attributeName('sentry._internal.received_at')
const memory = arenaBytes()
/** More than the columns that every row has and the consumer's own attributes take. */
const rowBytesExtra = 1024
/** More than a number and the length of a text take. */
const valueBytesExtra = 32

export function writeBinaryRow(item: TraceItem, facts: ItemFacts): void {
  reserve(rowBytesExtra)
  writeHalves(item.organizationId)
  writeHalves(item.projectId)
  putByte(item.itemType & 0xff)
  putU32(item.timestamp.low)
  writeUuid(facts.traceId)
  writeUuid(facts.sessionId)
  writeText(item.conversationId)
  putCopy(item.itemId.start, item.itemId.start + 16)
  writeText(nameOf(item, facts))
  reserve(rowBytesExtra)
  putI64(facts.samplingWeight)
  putDouble(facts.samplingFactor)
  putDouble(facts.clientSampleRate)
  putDouble(facts.serverSampleRate)
  writeU16(facts.retentionDays)
  writeU16(facts.downsampledRetentionDays)
  writeBools(item)
  writeInts(item, facts)
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    writeTexts(item, bucket)
    writeFloats(item, bucket, facts)
  }
  writeArrays(item)
  reserve(rowBytesExtra)
  putI64(facts.recordAtMs ?? 0)
}

function writeBools({ attributes }: TraceItem): void {
  const count = attributes.kindCounts[valueKinds.bool] ?? 0
  reserve(valueBytesExtra)
  putVarint(count)
  for (let index = 0; count > 0 && index < attributes.count; index++) {
    if (attributes.kind(index) !== valueKinds.bool) continue
    writeKey(attributes, index)
    putByte(attributes.a(index))
  }
}

function writeInts({ attributes }: TraceItem, facts: ItemFacts): void {
  const count = attributes.kindCounts[valueKinds.int] ?? 0
  reserve(rowBytesExtra)
  putVarint(count + (facts.receivedAt === undefined ? 1 : 2))
  writeOwnKey(ingestedAt)
  putI64(facts.ingestedAtMs)
  if (facts.receivedAt !== undefined) {
    writeOwnKey(receivedAt)
    putI64(facts.receivedAt)
  }
  for (let index = 0; count > 0 && index < attributes.count; index++) {
    if (attributes.kind(index) !== valueKinds.int) continue
    writeKey(attributes, index)
    putU32(attributes.a(index))
    putU32(attributes.b(index))
  }
}

function writeTexts({ attributes }: TraceItem, bucket: number): void {
  const size = attributes.bucketSizes[bucket] ?? 0
  reserve(valueBytesExtra)
  putVarint(size)
  let index = attributes.firsts[bucket] ?? 0
  for (let count = 0; count < size; count++) {
    writeKey(attributes, index)
    writeText({ start: attributes.a(index), end: attributes.b(index), marks: 0 })
    index = attributes.next(index)
  }
}

function writeFloats({ attributes }: TraceItem, bucket: number, facts: ItemFacts): void {
  const size = attributes.bucketSizes[bucketCount + bucket] ?? 0
  const hasIngested = bucket === ingestedAt.bucket
  const hasReceived = bucket === receivedAt.bucket && facts.receivedAt !== undefined
  reserve(valueBytesExtra)
  putVarint(size + (hasIngested ? 1 : 0) + (hasReceived ? 1 : 0))
  let index = attributes.firsts[bucketCount + bucket] ?? 0
  for (let count = 0; count < size; count++) {
    writeKey(attributes, index)
    if (attributes.kind(index) === valueKinds.int)
      putDouble(signedOf(attributes.a(index), attributes.b(index)))
    else putCopy(attributes.a(index), attributes.a(index) + 8)
    index = attributes.next(index)
  }
  reserve(rowBytesExtra)
  if (hasIngested) {
    writeOwnKey(ingestedAt)
    putDouble(facts.ingestedAtMs)
  }
  if (hasReceived) {
    writeOwnKey(receivedAt)
    putDouble(facts.receivedAt ?? 0)
  }
}

type Entry = { index: number; lists: ElementLists }

function writeArrays(item: TraceItem): void {
  const { attributes } = item
  reserve(valueBytesExtra)
  if (attributes.kindCounts[valueKinds.array] === 0) {
    for (let map = 0; map < 4; map++) putByte(0)
    return
  }
  const entries: Entry[] = []
  for (let index = 0; index < attributes.count; index++)
    if (attributes.kind(index) === valueKinds.array)
      entries.push({ index, lists: listElements(attributes.a(index), attributes.b(index)) })
  writeMap(entries, { list: 'texts', write: (text) => writeText(text) }, item)
  writeMap(entries, { list: 'ints', write: (int) => writeHalves(int) }, item)
  writeMap(entries, { list: 'floats', write: (float) => putDouble(float) }, item)
  writeMap(entries, { list: 'bools', write: (bool) => putByte(bool ? 1 : 0) }, item)
}

/** A map from name to array, of those attributes that have elements of one type. */
function writeMap<List extends keyof ElementLists>(
  entries: readonly Entry[],
  { list, write }: { list: List; write: (element: ElementLists[List][number]) => void },
  item: TraceItem,
): void {
  const filled = entries.filter(({ lists }) => lists[list].length > 0)
  reserve(valueBytesExtra)
  putVarint(filled.length)
  for (const { index, lists } of filled) {
    const elements: readonly ElementLists[List][number][] = lists[list]
    writeKey(item.attributes, index)
    putVarint(elements.length)
    for (const element of elements) {
      reserve(valueBytesExtra)
      write(element)
    }
  }
}

/** Writes the name of an attribute, and leaves room for a number. */
function writeKey(attributes: TraceItem['attributes'], index: number): void {
  const start = attributes.keyStart(index)
  writeText({ start, end: attributes.keyEnd(index), marks: 0 })
}

function writeOwnKey(name: AttributeName): void {
  putVarint(name.end - name.start)
  put(name)
}

function writeText({ start, end }: Bounds): void {
  reserve(end - start + 2 * valueBytesExtra)
  putVarint(end - start)
  putCopy(start, end)
}

/** ClickHouse keeps a UUID as two integers: each half of its bytes in reverse. */
function writeUuid(uuid: number | string): void {
  const start = rowEnd()
  let digits = 0
  const length = typeof uuid === 'number' ? 32 : uuid.length
  for (let index = 0; index < length; index++) {
    const code = typeof uuid === 'number' ? (memory[uuid + index] ?? 0) : uuid.charCodeAt(index)
    if (code === 0x2d) continue
    const value = code < 0x40 ? code - 0x30 : code - 0x57
    const byte = digits >> 1
    const place = start + (byte < 8 ? 7 - byte : 23 - byte)
    memory[place] = digits % 2 === 0 ? value << 4 : (memory[place] ?? 0) | value
    digits++
  }
  cutRow(start + 16)
}

function writeHalves({ low, high }: Halves): void {
  putU32(low)
  putU32(high)
}

function writeU16(value: number): void {
  putByte(value & 0xff)
  putByte(value >> 8)
}
