/**
 * Functions of a profile's call tree: one row for each function of the message. Behaviour of Snuba's
 * FunctionsMessageProcessor. What all rows of a message share is written once; each row is that and its own.
 */
import {
  arenaBytes,
  bytesOf,
  constantPiece,
  cutRow,
  loadMessage,
  put,
  putByte,
  putCopy,
  reserve,
  rowEnd,
} from '../../../std/arena.ts'
import { fieldEnd, fieldStart, skipSpace, skipValue } from '../../../std/arena-json.ts'
import { isU64 } from '../../../std/arena-numbers.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { CreateProcessor, Message, MessageProcessor, Output } from '../../processor/processor.ts'
import { CopiedColumns } from '../copied-columns.ts'
import { FieldReader } from '../message-fields.ts'
import { timeMs } from '../seconds-to-ms.ts'

const memory = arenaBytes()

const shared = new CopiedColumns(
  [
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
  ],
  { others: ['received', 'functions'] },
)
const read = new FieldReader(shared.set)
const received = shared.set.names.indexOf('received')
const functions = shared.set.names.indexOf('functions')

const own = new CopiedColumns(
  [
    { field: 'fingerprint', kind: 'u64' },
    { field: 'function', kind: 'string', column: 'name' },
    { field: 'in_app', kind: 'flag', column: 'is_application' },
    { field: 'package', kind: 'string' },
    { field: 'thread_id', kind: 'string', absent: '""', null: '""' },
  ],
  { others: ['self_times_ns'], path: 'functions[].', base: 2 * shared.set.names.length },
)
const selfTimes = own.set.names.indexOf('self_times_ns')

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
/** The same for the columns of one function. */
const ownBytesExtra = 256

shared.set.readers[functions] = putFunctions
own.set.readers[selfTimes] = skipTimes

/** Where the functions' own columns begin in the arena, one after the other, and where the last ones end. */
const ownStarts: number[] = []
/** Where the times began that were read last, if they can be copied as they are. */
let compactTimes = 0

export const createFunctions: CreateProcessor = () => new Functions()

/** The functions' own columns are put down where the message has them, amid those that all rows share. */
class Functions implements MessageProcessor {
  process({ value }: Message, output: Output): void {
    ownStarts.length = 0
    loadMessage(value)
    reserve(3 * value.length + rowBytesExtra)
    const start = rowEnd()
    compactTimes = 0
    put(constants)
    shared.putMessage(value)
    if (memory[read.start(functions)] !== 0x5b || !read.has(functions)) read.refuse(functions, 'an array')
    const originMs = timeMs(read.seconds(received))
    const end = rowEnd()
    const firstOwn = ownStarts[0]
    const lastOwn = ownStarts.at(-1)
    if (firstOwn === undefined || lastOwn === undefined) return
    output.times({ originMs })
    for (let index = 0; index + 1 < ownStarts.length; index++) {
      reserve(end - start + rowBytesExtra)
      putCopy(start, firstOwn)
      putCopy(lastOwn, end)
      putCopy(ownStarts[index] ?? 0, ownStarts[index + 1] ?? 0)
      putByte(0x7d)
      output.splice(bytesOf(end, rowEnd()), '}')
      cutRow(end)
    }
  }
}

/** Puts the own columns of all functions of the array at `at` down, and returns the place after it. */
function putFunctions(at: number, depth: number): number {
  if (memory[at] !== 0x5b) return skipValue(at, depth)
  shared.flush()
  let place = skipSpace(at + 1)
  if (memory[place] === 0x5d) return place + 1
  for (;;) {
    ownStarts.push(rowEnd())
    place = skipSpace(putFunction(place, depth + 1))
    if (memory[place] === 0x5d) break
    if (memory[place] !== 0x2c) throw new SyntaxError('Expected a comma between functions.')
    place = skipSpace(place + 1)
  }
  ownStarts.push(rowEnd())
  return place + 1
}

/** Adds the columns of the function at `at` to the row and answers where it ends. */
function putFunction(at: number, depth: number): number {
  if (memory[at] !== 0x7b) {
    skipValue(at, depth)
    throw new InvalidMessage('A function must be an object.', { path: 'functions[]' })
  }
  reserve(ownBytesExtra)
  const end = own.putObject(at, depth)
  put(durations)
  putIntegers(fieldStart(own.set.base, selfTimes), fieldEnd(own.set.base, selfTimes))
  putByte(0x5d)
  return end
}

/** Copies the integers of the array from `start` up to `end`, which is valid JSON, without the space in it. */
function putIntegers(start: number, end: number): void {
  if (start === 0 || memory[start] !== 0x5b) throw invalidTimes()
  if (start === compactTimes) {
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

/** Skips times, and sees whether there are only integers that surely fit, and commas. */
function skipTimes(at: number, depth: number): number {
  let from = at + 1
  if (memory[at] !== 0x5b) return skipValue(at, depth)
  for (let place = from; ; place++) {
    const byte = memory[place] ?? 0
    if (isDigit(byte)) continue
    const digits = place - from
    const isPlain = digits > 0 && digits < u64Digits && (digits === 1 || memory[from] !== 0x30)
    if (!isPlain || (byte !== 0x2c && byte !== 0x5d)) return skipValue(at, depth)
    if (byte === 0x5d) {
      compactTimes = at
      return place + 1
    }
    from = place + 1
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function invalidTimes(): InvalidMessage {
  return new InvalidMessage('The field self_times_ns must be an array of integers from 0 to 2^64 - 1.', {
    path: 'functions[].self_times_ns',
  })
}
