/**
 * Items of Sentry's events analytics platform: protobuf TraceItems, one row each. Behaviour of Snuba's
 * EAPItemsProcessor. The item is read as places in the message, and the row is written from there.
 *
 * Live options: `eap_items_emit_received_at` adds the time of the record to the row.
 * `eap_items_dlq_grace_period_min` gives minutes by storage: items of another week than the current one are
 * set aside in silence, except so many minutes around midnight of Monday.
 */
import { arenaBytes, rowEnd, textOf, writtenRow } from '../../../std/arena.ts'
import { isLowerHex } from '../../../std/arena-uuid.ts'
import { parseUuid } from '../../../std/uuid.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
} from '../../processor/processor.ts'
import { timeMs } from '../seconds-to-ms.ts'
import { type AttributeName, attributeName, valueKinds } from './attributes.ts'
import { itemTypeLabels, itemTypes } from './item-type.ts'
import { otherWeek } from './partition-week.ts'
import { signedOf } from './proto-reader.ts'
import { type Bounds, TraceItem } from './trace-item.ts'
import { writeBinaryRow } from './write-binary-row.ts'
import { writeJsonRow } from './write-json-row.ts'

const memory = arenaBytes()

const receivedAtOption = 'eap_items_emit_received_at'
const graceOption = 'eap_items_dlq_grace_period_min'

const ingestedAt = attributeName('sentry._internal.ingested_at')
const receivedAt = attributeName('sentry._internal.received_at')
const hiddenAlways = [ingestedAt]
const hiddenWhenReceived = [ingestedAt, receivedAt]
const indexedNames: ReadonlyMap<number, AttributeName> = new Map([
  [itemTypes.span, attributeName('sentry.op')],
  [itemTypes.metric, attributeName('sentry.metric.name')],
])

const samplingPrecision = 1e6
const itemIdBytes = 16
const nilUuid = '00000000-0000-0000-0000-000000000000'

/** What a row holds besides what is in the item. */
export type ItemFacts = {
  /** Where its 32 digits are in the arena, or its text. */
  traceId: number | string
  sessionId: number | string
  /** The attribute that is the row's `indexed_name`, or -1. */
  nameAttribute: number
  samplingFactor: number
  samplingWeight: number
  clientSampleRate: number
  serverSampleRate: number
  retentionDays: number
  downsampledRetentionDays: number
  ingestedAtMs: number
  /** Seconds; `undefined` where the item does not say when it was received. */
  receivedAt: number | undefined
  /** ms; `undefined` unless the option is on. */
  recordAtMs: number | undefined
}

export const createEapItems: CreateProcessor = (context) => new EapItems(context)

class EapItems implements MessageProcessor {
  readonly #context: ProcessorContext
  readonly #item = new TraceItem()

  constructor(context: ProcessorContext) {
    this.#context = context
  }

  process({ value, timestampMs }: Message, output: Output): void {
    const item = this.#item
    item.read(value)
    const start = rowEnd()
    const nowMs = this.#context.nowMs()
    const live = this.#context.live()
    this.#refuseOtherWeek(nowMs, live[graceOption])
    const recordAtMs = live[receivedAtOption] === true ? timestampMs : undefined
    const facts = this.#factsOf(nowMs, recordAtMs)
    item.attributes.sort(facts.receivedAt === undefined ? hiddenAlways : hiddenWhenReceived)
    if (this.#context.format === 'RowBinary') {
      writeBinaryRow(item, facts)
      output.binary(writtenRow(start))
    } else {
      writeJsonRow(item, facts)
      output.splice(writtenRow(start), '}')
    }
    output.times({ originMs: facts.receivedAt === undefined ? undefined : facts.receivedAt * 1000 })
    const labels = itemTypeLabels(item.itemType)
    this.#context.count('consumer_insertions_item_type_count', 1, labels)
    this.#context.count('consumer_insertions_item_bytes_processed', value.length, labels)
  }

  #refuseOtherWeek(nowMs: number, graceByStorage: unknown): void {
    const { timestamp, itemType } = this.#item
    const graceMinutes = graceOf(graceByStorage, this.#context.storage)
    const eventMs = timestamp.isSet ? timeMs(signedOf(timestamp.low, timestamp.high)) : undefined
    if (graceMinutes === undefined || eventMs === undefined) return
    const reason = otherWeek({ eventMs, nowMs, graceMinutes })
    if (reason === undefined) return
    this.#context.count('consumer_eap_items_dlqed_prior_partition', 1, {
      ...itemTypeLabels(itemType),
      reason,
    })
    throw new InvalidMessage(`The item belongs to another week than the current one: ${reason}.`, {
      path: 'timestamp',
      isSilent: true,
    })
  }

  #factsOf(nowMs: number, recordAtMs: number | undefined): ItemFacts {
    const item = this.#item
    if (!item.timestamp.isSet) throw new InvalidMessage('The item has no timestamp.', { path: 'timestamp' })
    if (item.itemId.end - item.itemId.start < itemIdBytes)
      throw new InvalidMessage(`The item's id is shorter than ${itemIdBytes} bytes.`, { path: 'item_id' })
    const traceId = uuidOf(item.traceId)
    if (traceId === undefined)
      throw new InvalidMessage("The item's trace id is not a UUID.", { path: 'trace_id' })
    const sessionId = uuidOf(item.sessionId)
    const clientSampleRate = rateOf(item.clientSampleRate)
    const serverSampleRate = rateOf(item.serverSampleRate)
    const samplingFactor = Math.max(
      Math.round(clientSampleRate * serverSampleRate * samplingPrecision) / samplingPrecision,
      1 / samplingPrecision,
    )
    const retentionDays = enforceRetention(item.retentionDays & 0xffff, this.#context.retention)
    const { received } = item
    const receivedSeconds = received.isSet ? signedOf(received.low, received.high) : undefined
    return {
      traceId,
      sessionId: sessionId === undefined || isNil(sessionId) ? this.#context.uuid() : sessionId,
      nameAttribute: this.#nameAttribute(),
      samplingFactor,
      samplingWeight: Math.round(1 / samplingFactor),
      clientSampleRate,
      serverSampleRate,
      retentionDays,
      downsampledRetentionDays:
        item.downsampledRetentionDays > 0 ? item.downsampledRetentionDays & 0xffff : retentionDays,
      ingestedAtMs: nowMs,
      receivedAt:
        receivedSeconds === undefined || timeMs(receivedSeconds) === undefined ? undefined : receivedSeconds,
      recordAtMs,
    }
  }

  #nameAttribute(): number {
    const name = indexedNames.get(this.#item.itemType)
    if (name === undefined) return -1
    const index = this.#item.attributes.find(name)
    return index >= 0 && this.#item.attributes.kind(index) === valueKinds.text ? index : -1
  }
}

/** Where the 32 digits of a UUID are, in lower case, or its text if it is written in another form. */
function uuidOf({ start, end }: Bounds): number | string | undefined {
  if (end - start === 32 && isLowerHex(start, end)) return start
  return parseUuid(textOf(start, end, 'latin1'))
}

function isNil(uuid: number | string): boolean {
  if (typeof uuid === 'string') return uuid === nilUuid
  for (let place = uuid; place < uuid + 32; place++) if (memory[place] !== 0x30) return false
  return true
}

/** A rate outside of (0, 1] counts as none. */
function rateOf(rate: number): number {
  return rate > 0 && rate <= 1 ? rate : 1
}

function graceOf(byStorage: unknown, storage: string): number | undefined {
  if (typeof byStorage !== 'object' || byStorage === null || !Object.hasOwn(byStorage, storage))
    return undefined
  const minutes: unknown = Reflect.get(byStorage, storage)
  return typeof minutes === 'number' && Number.isInteger(minutes) && minutes >= 0 ? minutes : undefined
}
