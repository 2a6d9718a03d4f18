/**
 * Functions of a profile's call tree: one row for each function of the message. Behaviour of Snuba's
 * FunctionsMessageProcessor. What all rows of a message share is written once; each row is that and its own.
 */
import {
  arenaBytes,
  constantPiece,
  cutRow,
  put,
  putByte,
  putCopy,
  reserve,
  rowEnd,
  writtenRow,
} from '../../../std/arena.ts'
import { fieldEnd, fieldStart, findFields, JsonFieldSet, skipSpace } from '../../../std/arena-json.ts'
import { isU64 } from '../../../std/arena-numbers.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { CreateProcessor, Message, MessageProcessor, Output } from '../../processor/processor.ts'
import { FieldColumns, FieldReader, invalidJson, readMessage } from '../message-fields.ts'
import { timeMs } from '../seconds-to-ms.ts'

const memory = arenaBytes()

const shared = new FieldColumns([
  { field: 'environment', kind: 'string', absent: 'null', null: 'null' },
  { field: 'platform', kind: 'string' },
  { field: 'profile_id', kind: 'uuid' },
  { field: 'project_id', kind: 'u64' },
  { field: 'release', kind: 'string', absent: 'null', null: 'null' },
  { field: 'retention_days', kind: 'u32' },
  { field: 'timestamp', kind: 'u64' },
  { field: 'start_timestamp', kind: 'micros', absent: 'null', null: 'null' },
  { field: 'end_timestamp', kind: 'micros', absent: 'null', null: 'null' },
  { field: 'transaction_name', kind: 'string' },
  { field: 'profiling_type', kind: 'string', absent: 'null', null: 'null' },
  { field: 'materialization_version', kind: 'u8', absent: '0', null: '0' },
])
const fields = new JsonFieldSet([...shared.names, 'received', 'functions'])
const read = new FieldReader(fields)
const received = fields.names.indexOf('received')
const functions = fields.names.indexOf('functions')

const own = new FieldColumns(
  [
    { field: 'fingerprint', kind: 'u64' },
    { field: 'function', kind: 'string', column: 'name' },
    { field: 'in_app', kind: 'flag', column: 'is_application' },
    { field: 'package', kind: 'string' },
    { field: 'thread_id', kind: 'string', absent: '""', null: '""' },
  ],
  'functions[].',
)
const ownSet = new JsonFieldSet([...own.names, 'self_times_ns'], 2 * fields.names.length)
const selfTimes = ownSet.names.indexOf('self_times_ns')

/** Columns that no message fills any more. */
const constants = constantPiece(
  '{"browser_name":"","depth":0,"device_classification":0,"dist":"","os_name":"","os_version":"",' +
    '"parent_fingerprint":0,"path":"","transaction_op":"","transaction_status":0',
)
const durations = constantPiece(',"durations":[')
/** An integer of so many digits may not fit 64 bits. */
const u64Digits = 20
/** More than the names of all columns and numbers that grow take. */
const rowBytesExtra = 1024

export const createFunctions: CreateProcessor = () => new Functions()

class Functions implements MessageProcessor {
  process({ value }: Message, output: Output): void {
    readMessage(value, fields)
    reserve(value.length + rowBytesExtra)
    put(constants)
    shared.put(fields)
    const originMs = timeMs(read.seconds(received))
    if (putFunctions(output) > 0) output.times({ originMs })
  }
}

/** Adds a row for each function and answers how many there are. */
function putFunctions(output: Output): number {
  const sharedEnd = rowEnd()
  if (memory[read.start(functions)] !== 0x5b || !read.has(functions)) read.refuse(functions, 'an array')
  let at = skipSpace(read.start(functions) + 1)
  let rows = 0
  while (memory[at] !== 0x5d) {
    cutRow(sharedEnd)
    at = skipSpace(putFunction(at))
    output.splice(writtenRow(), '}')
    rows++
    if (memory[at] === 0x2c) at = skipSpace(at + 1)
  }
  return rows
}

/** Adds the columns of the function at `at` to the row and answers where it ends. */
function putFunction(at: number): number {
  if (memory[at] !== 0x7b) throw new InvalidMessage('A function must be an object.', { path: 'functions[]' })
  const end = findFunction(at)
  own.put(ownSet)
  put(durations)
  putIntegers(fieldStart(ownSet.base, selfTimes), fieldEnd(ownSet.base, selfTimes))
  putByte(0x5d)
  putByte(0x7d)
  return end
}

function findFunction(at: number): number {
  try {
    return findFields(at, ownSet, 2)
  } catch (error) {
    throw invalidJson(error)
  }
}

/** Copies the integers of the array from `start` up to `end`, which is valid JSON, without the space in it. */
function putIntegers(start: number, end: number): void {
  if (start === 0 || memory[start] !== 0x5b) throw invalidTimes()
  if (isCompact(start + 1, end - 1)) {
    putCopy(start + 1, end - 1)
    return
  }
  let at = skipSpace(start + 1)
  while (memory[at] !== 0x5d) {
    let after = at
    while (isDigit(memory[after] ?? 0)) after++
    if (!isU64(at, after)) throw invalidTimes()
    putCopy(at, after)
    at = skipSpace(after)
    if (memory[at] === 0x2c) {
      putByte(0x2c)
      at = skipSpace(at + 1)
    } else if (memory[at] !== 0x5d) throw invalidTimes()
  }
}

/** Whether only digits and commas stand there, and no integer has so many digits that it may be too large. */
function isCompact(start: number, end: number): boolean {
  let digits = 0
  for (let place = start; place < end; place++) {
    const byte = memory[place] ?? 0
    if (isDigit(byte)) digits++
    else if (byte !== 0x2c) return false
    else digits = 0
    if (digits === u64Digits) return false
  }
  return true
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function invalidTimes(): InvalidMessage {
  return new InvalidMessage('The field self_times_ns must be an array of integers from 0 to 2^64 - 1.', {
    path: 'functions[].self_times_ns',
  })
}
