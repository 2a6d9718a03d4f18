/**
 * The log of queries: one row a request, its queries in parallel arrays. Behaviour of Snuba's
 * QuerylogProcessor. The request's body is kept as the very text that it is in the message, space included.
 *
 * A query's values come one after the other, a column's values are wanted together: so the values are first
 * put down query by query, and the row is made behind them.
 */
import {
  arenaBytes,
  arenaView,
  bytesOf,
  constantPiece,
  cutRow,
  put,
  putAscii,
  putByte,
  putCopy,
  putUnsigned,
  reserve,
  rowEnd,
} from '../../../std/arena.ts'
import { skipSpace, skipValue } from '../../../std/arena-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { CreateProcessor, Message, MessageProcessor, Output } from '../../processor/processor.ts'
import { readMessage } from '../message-fields.ts'
import { nullText, PayloadFields } from '../payload/payload-fields.ts'
import { putU64s } from '../payload/payload-list.ts'
import { QueryFields } from './query-fields.ts'

const memory = arenaBytes()
const view = arenaView()

const [requestField, dataset, projects, organization, status, timingField, queryList] = [
  0, 1, 2, 3, 4, 5, 6,
] as const
const [id, body, referrer] = [0, 1, 2] as const
const [timestamp, durationMs] = [0, 1] as const

const message = new PayloadFields([
  'request',
  'dataset',
  'projects',
  'organization',
  'status',
  'timing',
  'query_list',
])
const inRequest = { fields: message, field: requestField }
const inTiming = { fields: message, field: timingField }
const request = new PayloadFields(['id', 'body', 'referrer'], {
  path: 'request.',
  after: message,
  inside: inRequest,
})
const timing = new PayloadFields(['timestamp', 'duration_ms'], {
  path: 'timing.',
  after: request,
  inside: inTiming,
})
const query = new QueryFields(timing)
message.readWith(queryList, putQueries)

const queryColumns = Object.entries(QueryFields.columns).map(([name, putValue]) => ({
  before: constantPiece(`,"clickhouse_queries.${name}":[`),
  putValue,
}))

/** Of a character of the body that cannot stand in a string as it is: the letter of its escape. */
const escapes = new Uint8Array(256)
for (const [character, letter] of ['""', '\\\\', '\nn', '\rr', '\tt'])
  escapes[character?.charCodeAt(0) ?? 0] = letter?.charCodeAt(0) ?? 0

const rowBytesExtra = 2048
/** More than one query takes beyond its texts: UUIDs, numbers, commas. */
const queryBytesExtra = 512

/** Where the values of the queries begin, one after the other, and where the last one ends. */
const valueStarts: number[] = []

export const createQuerylog: CreateProcessor = () => new Querylog()

class Querylog implements MessageProcessor {
  process({ value, offset, partition }: Message, output: Output): void {
    readMessage(value, message.set)
    request.enter(inRequest)
    timing.enter(inTiming)
    if (message.isAbsent(queryList) || memory[message.start(queryList)] !== 0x5b)
      message.refuse(queryList, 'a list of objects')
    const start = rowEnd()
    reserve(2 * value.length + (start - (valueStarts[0] ?? start)) + rowBytesExtra)
    putRequest()
    putAscii(',"partition":')
    putUnsigned(partition)
    putAscii(',"offset":')
    putUnsigned(offset)
    putAscii(',"timestamp":')
    timing.putU64(timestamp)
    putAscii(',"duration_ms":')
    timing.putU64(durationMs)
    putColumns()
    putByte(0x7d)
    output.splice(bytesOf(start, rowEnd()), '}')
  }
}

/** Reads the list of queries at `at`, puts the values of all of them down, and returns the place after the list. */
function putQueries(at: number, depth: number): number {
  valueStarts.length = 0
  if (memory[at] !== 0x5b) return skipValue(at, depth)
  let place = skipSpace(at + 1)
  if (memory[place] === 0x5d) return place + 1
  for (;;) {
    const end = query.read(place, depth + 1)
    for (let column = 0; column < queryColumns.length; column++) {
      reserve(2 * (end - place) + queryBytesExtra)
      valueStarts.push(rowEnd())
      queryColumns[column]?.putValue(query)
    }
    place = skipSpace(end)
    if (memory[place] === 0x5d) break
    if (memory[place] !== 0x2c) throw new InvalidMessage('Expected a comma.', { path: 'query_list' })
    place = skipSpace(place + 1)
  }
  valueStarts.push(rowEnd())
  return place + 1
}

/** Puts the columns of the queries together out of the values that were put down. */
function putColumns(): void {
  const columns = queryColumns.length
  for (let column = 0; column < columns; column++) {
    put(queryColumns[column]?.before ?? nullText)
    for (let value = column; value < valueStarts.length - 1; value += columns) {
      if (value > column) putByte(0x2c)
      putCopy(valueStarts[value] ?? 0, valueStarts[value + 1] ?? 0)
    }
    putByte(0x5d)
  }
}

function putRequest(): void {
  putAscii('{"request_id":')
  request.putUuid(id)
  putAscii(',"request_body":"')
  if (request.isAbsent(body)) request.refuse(body, 'JSON')
  putEscaped(request.start(body), request.end(body))
  putAscii('","referrer":')
  request.putString(referrer)
  putAscii(',"dataset":')
  message.putString(dataset)
  putAscii(',"projects":')
  if (!putU64s(message.start(projects))) message.refuse(projects, 'a list of integers from 0 to 2^64 - 1')
  putAscii(',"organization":')
  message.putOptionalU64(organization, nullText)
  putAscii(',"status":')
  message.putString(status)
}

/** The source of a JSON value as the inside of a string. Room has been made. */
function putEscaped(start: number, end: number): void {
  let at = rowEnd()
  let place = start
  while (place < end) {
    const four = view.getInt32(place, true)
    // The highest bit of a byte is set where it may need an escape.
    const special =
      ((four ^ 0x22222222) - 0x01010101) | ((four ^ 0x5c5c5c5c) - 0x01010101) | (four - 0x20202020) | four
    if ((special & 0x80808080) === 0 && place + 4 <= end) {
      view.setInt32(at, four, true)
      at += 4
      place += 4
      continue
    }
    const byte = memory[place++] ?? 0
    const letter = escapes[byte] ?? 0
    if (letter === 0) memory[at++] = byte
    else {
      memory[at++] = 0x5c
      memory[at++] = letter
    }
  }
  cutRow(at)
}
