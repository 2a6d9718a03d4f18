/** Writes an error event's row: the columns in Snuba's order, most values as pieces of the message. */
import {
  constantPiece,
  type Piece,
  put,
  putAscii,
  putByte,
  putCopy,
  putUnsigned,
  reserve,
  rowEnd,
  textOf,
  writtenRow,
} from '../../../std/arena.ts'
import { putUuid } from '../../../std/arena-uuid.ts'
import { floatText } from '../../../std/lossless-json.ts'
import { parseUuid } from '../../../std/uuid.ts'
import type { Message } from '../../processor/processor.ts'
import type { Cells } from '../event-fields/cells.ts'
import type { Pairs } from '../event-fields/pairs.ts'
import { charactersOf } from '../event-fields/read-fields.ts'
import { type ErrorEvent, textIndex } from './error-event.ts'
import { promotedTags } from './error-keys.ts'
import { putContexts } from './write-contexts.ts'

const unsigned32 = 2 ** 32
const quote = 0x22
const comma = 0x2c
const closeBracket = 0x5d
const columnOfTag = {
  environment: textIndex.environment,
  level: textIndex.level,
  transaction: textIndex.transactionName,
  'sentry:release': textIndex.release,
  'sentry:dist': textIndex.dist,
  'sentry:user': textIndex.user,
}

/** Columns of texts; an optional one may be null, another is empty then. */
const culprit = textColumn('culprit', textIndex.culprit)
const dist = optionalColumn('dist', textIndex.dist)
const environment = optionalColumn('environment', textIndex.environment)
const httpMethod = optionalColumn('http_method', textIndex.httpMethod)
const httpReferer = optionalColumn('http_referer', textIndex.httpReferer)
const level = optionalColumn('level', textIndex.level)
const location = optionalColumn('location', textIndex.location)
const messageText = textColumn('message', textIndex.message)
const platform = optionalColumn('platform', textIndex.platform)
const release = optionalColumn('release', textIndex.release)
const sdkName = textColumn('sdk_name', textIndex.sdkName)
const sdkVersion = textColumn('sdk_version', textIndex.sdkVersion)
const title = textColumn('title', textIndex.title)
const transactionName = textColumn('transaction_name', textIndex.transactionName)
const type = textColumn('type', textIndex.type)
const userEmail = optionalColumn('user_email', textIndex.userEmail)
const userId = optionalColumn('user_id', textIndex.userId)
const userName = optionalColumn('user_name', textIndex.userName)
const user = textColumn('user', textIndex.user)
const version = optionalColumn('version', textIndex.version)

const framePaths = columnName('exception_frames.abs_path')
const frameColumns = columnName('exception_frames.colno')
const frameFiles = columnName('exception_frames.filename')
const frameFunctions = columnName('exception_frames.function')
const frameInApp = columnName('exception_frames.in_app')
const frameLines = columnName('exception_frames.lineno')
const frameModules = columnName('exception_frames.module')
const framePackages = columnName('exception_frames.package')
const frameLevels = constantPiece(',"exception_frames.stack_level":[')
const mechanismHandled = columnName('exception_stacks.mechanism_handled')
const mechanismTypes = columnName('exception_stacks.mechanism_type')
const stackTypes = columnName('exception_stacks.type')
const stackValues = columnName('exception_stacks.value')
const flagKeys = columnName('flags.key')
const flagValues = columnName('flags.value')
const integrations = columnName('sdk_integrations')
const deleted = constantPiece(',"deleted":0')
const groupFirstSeen = columnName('group_first_seen')
const messageTimestamp = columnName('message_timestamp')
const processingErrors = columnName('num_processing_errors')
const offset = columnName('offset')
const partition = columnName('partition')
const received = columnName('received')
const retention = columnName('retention_days')
const timestamp = columnName('timestamp')
const timestampMs = columnName('timestamp_ms')
const groupId = columnName('group_id')
const projectId = columnName('project_id')
const emptyText = constantPiece('""')
/** A UUID's column with its first quote. */
const eventId = constantPiece(',"event_id":"')
const primaryHash = constantPiece(',"primary_hash":"')
const replayId = constantPiece(',"replay_id":"')
const traceId = constantPiece(',"trace_id":"')
const moduleNames = constantPiece(',"modules.name":[')
const moduleVersions = constantPiece('],"modules.version":[')
const tagKeys = constantPiece(',"tags.key":[')
const tagValues = constantPiece('],"tags.value":[')

const lastTexts = [transactionName, type, userEmail, userId, userName, user, version] as const

/** More than the names of all columns and the values of fixed sizes take. */
const rowBytesExtra = 4096

export type RowPlace = { message: Message; retentionDays: number }

export class ErrorRowWriter {
  readonly #event: ErrorEvent

  constructor(event: ErrorEvent) {
    this.#event = event
  }

  /** The row, valid until something else is written. */
  write({ message, retentionDays }: RowPlace): Buffer {
    const event = this.#event
    const tags = this.#sortTags()
    reserve(rowBytesExtra)
    const start = rowEnd()
    putContexts(event)
    reserve(rowBytesExtra)
    this.#text(culprit)
    put(deleted)
    this.#text(dist)
    this.#text(environment)
    this.#uuid(eventId, event.eventId)
    this.#stacks()
    this.#list(flagKeys, event.flagKeys)
    this.#list(flagValues, event.flagValues)
    put(groupId)
    putCopy(event.groupIdStart, event.groupIdEnd)
    put(groupFirstSeen)
    putUnsigned(wrappedSeconds(event.groupFirstSeenMs))
    this.#text(httpMethod)
    this.#text(httpReferer)
    if (event.ipV4 !== undefined) putAscii(`,"ip_address_v4":"${event.ipV4}"`)
    if (event.ipV6 !== undefined) putAscii(`,"ip_address_v6":"${event.ipV6}"`)
    this.#text(level)
    this.#text(location)
    put(messageTimestamp)
    putInteger(Math.floor(message.timestampMs / 1000))
    this.#text(messageText)
    this.#pairs(event.modules, event.modules.sortedOnce(0, event.modules.count), 'modules')
    put(processingErrors)
    putUnsigned(event.processingErrors)
    put(offset)
    putUnsigned(message.offset)
    put(partition)
    putUnsigned(message.partition)
    this.#text(platform)
    this.#uuid(primaryHash, event.primaryHash)
    put(projectId)
    putCopy(event.projectIdStart, event.projectIdEnd)
    put(received)
    putUnsigned(saturate32(event.receivedSeconds ?? 0))
    this.#text(release)
    if (event.contextReplayId === undefined && event.replayId !== undefined)
      putAscii(`,"replay_id":"${event.replayId}"`)
    else this.#uuid(replayId, event.contextReplayId)
    put(retention)
    putUnsigned(retentionDays)
    this.#list(integrations, event.integrations)
    this.#text(sdkName)
    this.#text(sdkVersion)
    if (event.spanId !== undefined) putAscii(`,"span_id":${event.spanId}`)
    this.#pairs(event.tags, tags, 'tags')
    put(timestamp)
    putUnsigned(wrappedSeconds(event.timestampMs))
    put(timestampMs)
    putInteger(wrappedMs(event.timestampMs))
    this.#text(title)
    this.#uuid(traceId, event.traceId)
    if (event.traceSampled !== undefined)
      putAscii(event.traceSampled ? ',"trace_sampled":1' : ',"trace_sampled":0')
    for (const column of lastTexts) this.#text(column)
    if (event.symbolicatedInApp !== undefined) putAscii(`,"symbolicated_in_app":${event.symbolicatedInApp}`)
    putAscii(`,"sample_weight":${sampleWeight(event.sampleRate)}}`)
    return writtenRow(start)
  }

  #text({ name, index, isOptional }: TextColumn): void {
    const { texts } = this.#event
    put(name)
    if (isOptional || !texts.isNull(index)) texts.putOne(index)
    else put(emptyText)
  }

  #uuid(name: Piece, place: number | undefined): void {
    if (place === undefined) return
    put(name)
    reserve(rowBytesExtra)
    putUuid(place)
    putByte(quote)
  }

  #list(name: Piece, cells: Cells, count = cells.count): void {
    put(name)
    cells.putAll(count)
  }

  #pairs(pairs: Pairs, order: readonly number[], column: 'tags' | 'modules'): void {
    put(column === 'tags' ? tagKeys : moduleNames)
    for (let index = 0; index < order.length; index++) {
      if (index > 0) putByte(comma)
      putByte(quote)
      pairs.putKey(order[index] ?? 0)
      putByte(quote)
    }
    put(column === 'tags' ? tagValues : moduleVersions)
    for (let index = 0; index < order.length; index++) {
      if (index > 0) putByte(comma)
      pairs.putValue(order[index] ?? 0)
    }
    putByte(closeBracket)
  }

  #stacks(): void {
    const event = this.#event
    const frames = event.frameFiles.count
    this.#list(framePaths, event.framePaths, frames)
    this.#list(frameColumns, event.frameColumns, frames)
    this.#list(frameFiles, event.frameFiles, frames)
    this.#list(frameFunctions, event.frameFunctions, frames)
    this.#list(frameInApp, event.frameInApp, frames)
    this.#list(frameLines, event.frameLines, frames)
    this.#list(frameModules, event.frameModules, frames)
    this.#list(framePackages, event.framePackages, frames)
    put(frameLevels)
    let isFirst = true
    for (let stack = 0; stack < event.framesOfStack.length; stack++) {
      const text = String(stack)
      reserve((event.framesOfStack[stack] ?? 0) * (text.length + 1) + rowBytesExtra)
      for (let frame = event.framesOfStack[stack] ?? 0; frame > 0; frame--) {
        if (!isFirst) putByte(comma)
        isFirst = false
        putAscii(text)
      }
    }
    putByte(closeBracket)
    const isOnMainThread = findMainThread(event)
    if (isOnMainThread !== undefined) putAscii(`,"exception_main_thread":${isOnMainThread}`)
    const stacks = event.framesOfStack.length
    this.#list(mechanismHandled, event.mechanismHandled, stacks)
    this.#list(mechanismTypes, event.mechanismTypes, stacks)
    this.#list(stackTypes, event.stackTypes, stacks)
    this.#list(stackValues, event.stackValues, stacks)
  }

  /** The tags' order; those that are columns too are put there. Of several with one key the last one counts. */
  #sortTags(): number[] {
    const { tags, texts } = this.#event
    const characters = (tag: number) =>
      charactersOf(tags.valueText(tag) ?? textOf(tags.valueStart(tag), tags.valueEnd(tag), 'latin1'))
    const order = tags.sorted(0, tags.count, (left, right) => (characters(left) < characters(right) ? -1 : 1))
    for (const tag of order) {
      const column = tags.isPlain(tag)
        ? promotedTags.findAt(tags.keyStart(tag), tags.keyEnd(tag))
        : promotedTags.findName(tags.keyCharacters(tag))
      if (column === 'replayId') {
        const uuid = parseUuid(characters(tag))
        this.#event.replayId = uuid
      } else if (column !== '') {
        const text = tags.valueText(tag)
        if (text === undefined) texts.setPiece(columnOfTag[column], tags.valueStart(tag), tags.valueEnd(tag))
        else texts.setText(columnOfTag[column], text)
      }
    }
    return order
  }
}

/** Whether an exception's thread is the main one; undefined if exceptions or threads say too little. */
function findMainThread({ exceptionThreads, threads }: ErrorEvent): boolean | undefined {
  if (exceptionThreads.length === 0 || threads.length === 0) return undefined
  return exceptionThreads.some((id) => threads.some((thread) => thread.id === id && thread.isMain))
}

/** Times are integers without a sign, of 64 bits in ms and of 32 in seconds: ClickHouse reads the former back. */
function wrappedMs(ms: number): number | bigint {
  return ms >= 0 ? ms : BigInt.asUintN(64, BigInt(ms))
}

function wrappedSeconds(ms: number): number {
  const wrapped = wrappedMs(ms)
  if (typeof wrapped === 'bigint') return Number(BigInt.asUintN(32, wrapped / 1000n))
  return Math.floor(wrapped / 1000) % unsigned32
}

function putInteger(value: number | bigint): void {
  if (typeof value === 'number' && value >= 0) putUnsigned(value)
  else putAscii(String(value))
}

function saturate32(value: number): number {
  return Math.min(Math.max(Math.trunc(value), 0), unsigned32 - 1)
}

function sampleWeight(rate: number | undefined): string {
  return rate === undefined || rate === 0 ? 'null' : floatText(1 / rate)
}

type TextColumn = { name: Piece; index: number; isOptional: boolean }

function textColumn(name: string, index: number): TextColumn {
  return { name: columnName(name), index, isOptional: false }
}

function optionalColumn(name: string, index: number): TextColumn {
  return { name: columnName(name), index, isOptional: true }
}

function columnName(name: string): Piece {
  return constantPiece(`,"${name}":`)
}
