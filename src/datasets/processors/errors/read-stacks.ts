/** Reads an error event's exceptions with their frames, and its threads. */
import { arenaBytes } from '../../../std/arena.ts'
import { fieldEnd, fieldStart, JsonFieldSet } from '../../../std/arena-json.ts'
import { readUnsigned as readUnsignedAt } from '../../../std/arena-numbers.ts'
import type { Cells } from '../event-fields/cells.ts'
import type { JsonScanner } from '../event-fields/json-scanner.ts'
import { readString, readUnsigned64 } from '../event-fields/read-fields.ts'
import { readUnicode, unicodeAt } from '../event-fields/unicodify.ts'
import type { ErrorEvent } from './error-event.ts'
import { exceptionKeys, mechanismKeys, stacktraceKeys, threadKeys, valuesKeys } from './error-keys.ts'

const memory = arenaBytes()
const letterN = 0x6e
const letterT = 0x74
const letterF = 0x66
const unsigned32Max = 2 ** 32 - 1
const frameField = {
  abs_path: 0,
  filename: 1,
  package: 2,
  module: 3,
  function: 4,
  in_app: 5,
  colno: 6,
  lineno: 7,
} as const
const frameFields = new JsonFieldSet(Object.keys(frameField))

export function readExceptions(scanner: JsonScanner, event: ErrorEvent): void {
  readValues(scanner, () => readException(scanner, event))
}

export function readThreads(scanner: JsonScanner, event: ErrorEvent): void {
  readValues(scanner, () => readThread(scanner, event))
}

/** `{"values": [...]}` without nulls. */
function readValues(scanner: JsonScanner, read: () => void): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = valuesKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') scanner.skip()
    else if (!scanner.takeNull()) {
      scanner.enterArray()
      while (scanner.nextItem()) if (!scanner.takeNull()) read()
    }
  }
}

function readException(scanner: JsonScanner, event: ErrorEvent): void {
  const level = event.framesOfStack.length
  event.framesOfStack.push(0)
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = exceptionKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === 'type') setText(scanner, event.stackTypes, level)
    else if (key === 'value') setText(scanner, event.stackValues, level)
    else if (key === '') scanner.skip()
    else if (scanner.takeNull()) continue
    else if (key === 'mechanism') readMechanism(scanner, event, level)
    else if (key === 'stacktrace') readStacktrace(scanner, event)
    else event.exceptionThreads.push(readThreadId(scanner))
  }
}

function readMechanism(scanner: JsonScanner, event: ErrorEvent, level: number): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = mechanismKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === 'type') setText(scanner, event.mechanismTypes, level)
    else if (key === 'handled') {
      const kind = scanner.kind()
      scanner.skip()
      // Texts such as "yes" are null too: Snuba compares them in a way that never holds.
      const handled = kind === 'true' ? '1' : kind === 'false' ? '0' : null
      event.mechanismHandled.setText(level, handled)
    } else scanner.skip()
  }
}

function readStacktrace(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = stacktraceKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') scanner.skip()
    else if (!scanner.takeNull()) {
      scanner.enterArray()
      while (scanner.nextItem()) if (!scanner.takeNull()) readFrame(scanner, event)
    }
  }
}

function readFrame(scanner: JsonScanner, event: ErrorEvent): void {
  const stack = event.framesOfStack.length - 1
  event.framesOfStack[stack] = (event.framesOfStack[stack] ?? 0) + 1
  const frame = event.frameFiles.count
  event.frameFiles.setText(frame, null)
  scanner.fields(frameFields)
  setField(frameField.abs_path, event.framePaths, frame)
  setField(frameField.filename, event.frameFiles, frame)
  setField(frameField.package, event.framePackages, frame)
  setField(frameField.module, event.frameModules, frame)
  setField(frameField.function, event.frameFunctions, frame)
  setInApp(scanner, event.frameInApp, frame)
  const isLine = setUnsigned(frameField.lineno, event.frameLines, frame)
  // A line that is no integer of 32 bits is null, whatever it is; a column has to be one.
  if (!isLine) event.frameLines.setText(frame, null)
  if (!setUnsigned(frameField.colno, event.frameColumns, frame))
    scanner.failAt(
      fieldStart(frameFields.base, frameField.colno),
      `Expected an integer up to ${unsigned32Max}.`,
    )
}

/** Any value of a frame as text. */
function setField(field: number, cells: Cells, frame: number): void {
  const start = fieldStart(frameFields.base, field)
  if (start === 0) return
  const end = fieldEnd(frameFields.base, field)
  const text = unicodeAt(start, end)
  if (text === undefined) cells.setPiece(frame, start, end)
  else cells.setText(frame, text)
}

function setInApp(scanner: JsonScanner, cells: Cells, frame: number): void {
  const start = fieldStart(frameFields.base, frameField.in_app)
  const byte = memory[start]
  if (start === 0 || byte === letterN) return
  if (byte !== letterT && byte !== letterF) scanner.failAt(start, 'Expected true or false.')
  cells.setPiece(frame, start, fieldEnd(frameFields.base, frameField.in_app))
}

/** Absent, null, or an integer of 32 bits; `false` for anything else. */
function setUnsigned(field: number, cells: Cells, frame: number): boolean {
  const start = fieldStart(frameFields.base, field)
  if (start === 0 || memory[start] === letterN) return true
  const end = fieldEnd(frameFields.base, field)
  if (readUnsignedAt(start, end, unsigned32Max) === undefined) return false
  cells.setPiece(frame, start, end)
  return true
}

function readThread(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  let id: string | undefined
  let isMain: boolean | undefined
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = threadKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') scanner.skip()
    else if (scanner.takeNull()) continue
    else if (key === 'id') id = readThreadId(scanner)
    else isMain = scanner.boolean()
  }
  if (id !== undefined && isMain !== undefined) event.threads.push({ id, isMain })
}

/** An integer or a string; `1` and `"1"` are different threads. */
function readThreadId(scanner: JsonScanner): string {
  if (scanner.kind() === 'string') return `"${readString(scanner)}`
  readUnsigned64(scanner)
  return scanner.token()
}

function setText(scanner: JsonScanner, cells: Cells, index: number): void {
  cells.set(index, readUnicode(scanner), scanner)
}
