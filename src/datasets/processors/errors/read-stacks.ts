/** Reads an error event's exceptions with their frames, and its threads. */

import type { Cells } from '../event-fields/cells.ts'
import type { JsonScanner } from '../event-fields/json-scanner.ts'
import { readString, readUnsigned, readUnsigned64, smallInteger } from '../event-fields/read-fields.ts'
import { readUnicode } from '../event-fields/unicodify.ts'
import type { ErrorEvent } from './error-event.ts'
import {
  exceptionKeys,
  frameKeys,
  mechanismKeys,
  stacktraceKeys,
  threadKeys,
  valuesKeys,
} from './error-keys.ts'

const minus = 0x2d
const unsigned32Max = 2 ** 32 - 1

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
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = frameKeys.find(scanner)
    seen = scanner.once(seen)
    switch (key) {
      case 'abs_path':
        setText(scanner, event.framePaths, frame)
        break
      case 'filename':
        setText(scanner, event.frameFiles, frame)
        break
      case 'package':
        setText(scanner, event.framePackages, frame)
        break
      case 'module':
        setText(scanner, event.frameModules, frame)
        break
      case 'function':
        setText(scanner, event.frameFunctions, frame)
        break
      case 'in_app':
        if (!scanner.takeNull()) event.frameInApp.setText(frame, scanner.boolean() ? 'true' : 'false')
        break
      case 'colno':
        if (!scanner.takeNull()) {
          readUnsigned(scanner, unsigned32Max)
          event.frameColumns.setPiece(frame, scanner.start, scanner.end)
        }
        break
      case 'lineno':
        readLine(scanner, event, frame)
        break
      default:
        scanner.skip()
    }
  }
}

/** A line that is no integer of 32 bits is null, whatever it is. */
function readLine(scanner: JsonScanner, event: ErrorEvent, frame: number): void {
  const isNumber = scanner.kind() === 'number'
  scanner.skip()
  if (!isNumber || scanner.isFloat) return
  if (scanner.bytes[scanner.start] === minus) return
  if (smallInteger(scanner) <= unsigned32Max) event.frameLines.setPiece(frame, scanner.start, scanner.end)
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
