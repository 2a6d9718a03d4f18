/** Reads an error event's contexts: flags, replay and trace have columns, of the others fields go to an array. */
import type { JsonScanner } from '../event-fields/json-scanner.ts'
import { readUuid } from '../event-fields/read-fields.ts'
import { readContextValue, readUnicode } from '../event-fields/unicodify.ts'
import { type ErrorEvent, textIndex } from './error-event.ts'
import { contextsKeys, flagKeys, replayKeys, traceContextKeys, traceKeys, valuesKeys } from './error-keys.ts'

const hex64 = /^\+?0*([0-9a-fA-F]{1,16})$/

export function readContexts(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = contextsKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') readOther(scanner, event)
    else if (scanner.takeNull()) continue
    else if (key === 'flags') readFlags(scanner, event)
    else if (key === 'trace') readTrace(scanner, event)
    else readReplay(scanner, event)
  }
}

function readOther(scanner: JsonScanner, event: ErrorEvent): void {
  event.contexts.addKey(scanner.start, scanner.end, scanner.isEscaped)
  const first = event.contextFields.count
  const next = scanner.takeNull() ? first : readContextFields(scanner, event)
  event.contexts.addValue(null, first, next)
}

/** Adds the fields of the object and returns the place after them. */
export function readContextFields(scanner: JsonScanner, event: ErrorEvent): number {
  const fields = event.contextFields
  scanner.enterObject()
  while (scanner.nextKey()) {
    fields.addKey(scanner.start, scanner.end, scanner.isEscaped)
    const text = readContextValue(scanner)
    fields.addValue(text, scanner.start - 1, scanner.end + 1)
  }
  return fields.count
}

function readFlags(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = valuesKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') scanner.skip()
    else if (!scanner.takeNull()) {
      scanner.enterArray()
      while (scanner.nextItem()) if (!scanner.takeNull()) readFlag(scanner, event)
    }
  }
}

function readFlag(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  // Both are put behind what is there already, and counted only when they are complete.
  const index = event.flagKeys.count
  event.flagKeys.setText(index, null)
  event.flagValues.setText(index, null)
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = flagKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') scanner.skip()
    else (key === 'flag' ? event.flagKeys : event.flagValues).set(index, readUnicode(scanner), scanner)
  }
  if (!event.flagKeys.isNull(index) && !event.flagValues.isNull(index)) return
  event.flagKeys.count = index
  event.flagValues.count = index
}

function readReplay(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = replayKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') scanner.skip()
    else if (!scanner.takeNull()) event.contextReplayId = readUuid(scanner)
  }
}

function readTrace(scanner: JsonScanner, event: ErrorEvent): void {
  let seen = 0
  scanner.enterObject()
  while (scanner.nextKey()) {
    const key = traceKeys.find(scanner)
    seen = scanner.once(seen)
    if (key === '') readTraceField(scanner, event)
    else if (scanner.takeNull()) continue
    else if (key === 'sampled') event.traceSampled = scanner.boolean()
    else if (key === 'trace_id') event.traceId = readUuid(scanner)
    else {
      scanner.string()
      const index = key === 'span_id' ? textIndex.traceSpanId : textIndex.traceParentSpanId
      event.texts.set(index, undefined, scanner)
      if (key === 'span_id') event.spanId = spanNumber(scanner.text())
    }
  }
}

function readTraceField(scanner: JsonScanner, event: ErrorEvent): void {
  const key = traceContextKeys.find(scanner)
  if (key === '') {
    scanner.skip()
    return
  }
  const text = readContextValue(scanner)
  const { traceSampleRate, traceOp, traceStatus } = textIndex
  const index = key === 'op' ? traceOp : key === 'status' ? traceStatus : traceSampleRate
  event.texts.set(index, text, scanner)
}

/** A span's id in hexadecimal as an integer in decimal digits; undefined if it is none of 64 bits. */
function spanNumber(text: string): string | undefined {
  const digits = hex64.exec(text)?.[1]
  return digits === undefined ? undefined : String(BigInt(`0x${digits}`))
}
