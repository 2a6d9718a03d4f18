/** Reads the event of an `insert` message. */
import { hash } from 'node:crypto'
import { parseEventTime, parseEventTimeAt } from '../event-fields/datetime.ts'
import { parseIpAddress } from '../event-fields/ip-address.ts'
import { fromBytes, type JsonScanner } from '../event-fields/json-scanner.ts'
import {
  readFloat,
  readString,
  readUnsigned,
  readUnsigned64,
  readUuid,
  uuidPlace,
} from '../event-fields/read-fields.ts'
import { readUnicode } from '../event-fields/unicodify.ts'
import { type ErrorEvent, textIndex } from './error-event.ts'
import {
  dataKeys,
  eventKeys,
  refererKeys,
  refusedTypes,
  requestKeys,
  sdkKeys,
  userKeys,
} from './error-keys.ts'
import { readContextFields, readContexts } from './read-contexts.ts'
import { readExceptions, readThreads } from './read-stacks.ts'

const unsigned16Max = 2 ** 16 - 1
/** By the bits of `seen`: their indices in the table of keys. */
const requiredKeys = { data: 1, event_id: 4, group_id: 8, message: 32, primary_hash: 64, project_id: 128 }
const required = Object.values(requiredKeys).reduce((all, bit) => all | bit)

export function readEvent(scanner: JsonScanner, event: ErrorEvent, nowMs: () => number): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = eventKeys.find(scanner)
    seen = scanner.once(seen)
    switch (key) {
      case 'data':
        readData(scanner, event)
        break
      case 'datetime':
        event.timestampMs = readTime(scanner, nowMs)
        break
      case 'event_id':
        event.eventId = readUuid(scanner)
        break
      case 'group_id':
        readUnsigned64(scanner)
        event.groupIdStart = scanner.start
        event.groupIdEnd = scanner.end
        break
      case 'group_first_seen':
        event.groupFirstSeenMs = readTime(scanner, nowMs)
        break
      case 'message':
        scanner.string()
        event.texts.set(textIndex.message, undefined, scanner)
        break
      case 'primary_hash':
        event.primaryHash = readHash(scanner)
        break
      case 'project_id':
        readUnsigned64(scanner)
        event.projectIdStart = scanner.start
        event.projectIdEnd = scanner.end
        break
      case 'retention_days':
        if (!scanner.takeNull()) event.retentionDays = readUnsigned(scanner, unsigned16Max)
        break
      case 'platform':
        readOptionalText(scanner, event, textIndex.platform)
        break
      default:
        scanner.skip()
    }
  }
  if ((seen & required) !== required) scanner.fail(`The event has no ${missingKey(seen)}.`)
}

function missingKey(seen: number): string | undefined {
  return Object.entries(requiredKeys).find(([, bit]) => (seen & bit) === 0)?.[0]
}

function readData(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = dataKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') scanner.skip()
    else if (key === 'culprit' || key === 'title') readUnicodeText(scanner, event, textIndex[key])
    else if (key === 'type') readType(scanner, event)
    else if (!scanner.takeNull()) readPart(scanner, event, key)
  }
}

/** A part that is not null. */
function readPart(
  scanner: JsonScanner,
  event: ErrorEvent,
  key: Exclude<ReturnType<typeof dataKeys.find>, ''>,
) {
  switch (key) {
    case 'contexts':
      return readContexts(scanner, event)
    case 'errors':
      scanner.enterArray()
      while (scanner.nextItem()) {
        scanner.skip()
        event.processingErrors++
      }
      return
    case 'exception':
      return readExceptions(scanner, event)
    case 'location':
    case 'version':
      return readOptionalText(scanner, event, textIndex[key])
    case 'modules':
      return readModules(scanner, event)
    case 'received':
      event.receivedSeconds = readFloat(scanner)
      return
    case 'request':
      return readRequest(scanner, event)
    case 'sdk':
      return readSdk(scanner, event)
    case 'tags':
      return readTags(scanner, event)
    case 'threads':
      return readThreads(scanner, event)
    case 'user':
      return readUser(scanner, event)
    case 'symbolicated_in_app':
      event.symbolicatedInApp = scanner.boolean()
      return
    case 'sample_rate':
      event.sampleRate = readFloat(scanner)
  }
}

function readType(scanner: JsonScanner, event: ErrorEvent): void {
  const text = readUnicode(scanner)
  if (text === undefined && refusedTypes.find(scanner) !== '') scanner.fail('A transaction is no error.')
  event.texts.set(textIndex.type, text, scanner)
}

function readTags(scanner: JsonScanner, event: ErrorEvent): void {
  const { tags } = event
  scanner.enterArray()
  while (scanner.nextItem()) {
    if (scanner.takeNull()) continue
    scanner.enterArray()
    if (!scanner.nextItem()) scanner.fail('Expected a key.')
    const key = readUnicode(scanner)
    if (key === undefined) tags.addKey(scanner.start, scanner.end, scanner.isEscaped)
    else if (key !== null) tags.addKeyText(key.slice(1, -1))
    if (!scanner.nextItem()) scanner.fail('Expected a value.')
    const value = readUnicode(scanner)
    const { start, end } = scanner
    if (key !== null && value !== null) tags.addValue(value, start - 1, end + 1)
    if (scanner.nextItem()) scanner.fail('Expected no more than a key and a value.')
  }
}

function readModules(scanner: JsonScanner, event: ErrorEvent): void {
  const { modules } = event
  scanner.enterObject()
  while (scanner.nextKey()) {
    modules.addKey(scanner.start, scanner.end, scanner.isEscaped)
    if (scanner.takeNull()) modules.addValue('""', 0, 0)
    else {
      scanner.string()
      modules.addValue(undefined, scanner.start - 1, scanner.end + 1)
    }
  }
}

function readRequest(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = requestKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === 'method') readUnicodeText(scanner, event, textIndex.httpMethod)
    else if (key === 'headers') readHeaders(scanner, event)
    else scanner.skip()
  }
}

/** The first header named exactly `Referer` or `Referrer` counts, null or not. */
function readHeaders(scanner: JsonScanner, event: ErrorEvent): void {
  if (scanner.takeNull()) return
  let isFound = false
  scanner.enterArray()
  while (scanner.nextItem()) {
    if (scanner.takeNull()) continue
    scanner.enterArray()
    if (!scanner.nextItem()) scanner.fail("Expected a header's name.")
    scanner.string()
    const isReferer = refererKeys.find(scanner) !== '' && !isFound
    if (!scanner.nextItem()) scanner.fail("Expected a header's value.")
    if (isReferer) {
      readUnicodeText(scanner, event, textIndex.httpReferer)
      isFound = true
    } else scanner.skip()
    if (scanner.nextItem()) scanner.fail('Expected no more than a name and a value.')
  }
}

function readSdk(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = sdkKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === 'name') readUnicodeText(scanner, event, textIndex.sdkName)
    else if (key === 'version') readUnicodeText(scanner, event, textIndex.sdkVersion)
    else if (key === 'integrations' && !scanner.takeNull()) {
      scanner.enterArray()
      while (scanner.nextItem()) {
        const text = readUnicode(scanner)
        if (text !== null) event.integrations.add(text, scanner)
      }
    } else if (key === '') scanner.skip()
  }
}

function readUser(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = userKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === 'email') readUnicodeText(scanner, event, textIndex.userEmail)
    else if (key === 'id') readUnicodeText(scanner, event, textIndex.userId)
    else if (key === 'username') readUnicodeText(scanner, event, textIndex.userName)
    else if (key === '') scanner.skip()
    else if (!scanner.takeNull()) {
      if (key === 'geo') {
        event.geoFirst = event.contextFields.count
        event.geoNext = readContextFields(scanner, event)
      } else {
        const address = parseIpAddress(readString(scanner))
        if (address?.version === 4) event.ipV4 = address.text
        else event.ipV6 = address?.text
      }
    }
  }
}

function readUnicodeText(scanner: JsonScanner, event: ErrorEvent, index: number): void {
  event.texts.set(index, readUnicode(scanner), scanner)
}

function readOptionalText(scanner: JsonScanner, event: ErrorEvent, index: number): void {
  if (scanner.takeNull()) return
  scanner.string()
  event.texts.set(index, undefined, scanner)
}

/** ms since 1970; now for a text that is no time, as Snuba has it. */
function readTime(scanner: JsonScanner, nowMs: () => number): number {
  scanner.string()
  const { start, end, isEscaped } = scanner
  const time = isEscaped ? parseEventTime(fromBytes(scanner.text())) : parseEventTimeAt(start, end)
  return time ?? nowMs()
}

/** A hash that is no UUID becomes one: its MD5. */
function readHash(scanner: JsonScanner): number {
  scanner.string()
  return uuidPlace(scanner) ?? scanner.keep(hash('md5', Buffer.from(scanner.text(), 'latin1'), 'hex'))
}
