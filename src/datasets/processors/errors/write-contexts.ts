/** Writes the columns `contexts.key` and `contexts.value`: fields of contexts, then some of the trace. */
import { constantPiece, put, putByte } from '../../../std/arena.ts'
import { putUuidDigits } from '../../../std/arena-uuid.ts'
import { type ErrorEvent, textIndex } from './error-event.ts'

const quote = 0x22
const comma = 0x2c
const dot = 0x2e
const closeBracket = 0x5d
const keys = constantPiece('{"contexts.key":[')
const values = constantPiece('],"contexts.value":[')

const traceId = -1
/** Some of the trace's fields stand behind the other contexts, in this order. */
const traceFields = [
  { name: constantPiece('"trace.client_sample_rate"'), index: textIndex.traceSampleRate },
  { name: constantPiece('"trace.op"'), index: textIndex.traceOp },
  { name: constantPiece('"trace.span_id"'), index: textIndex.traceSpanId },
  { name: constantPiece('"trace.status"'), index: textIndex.traceStatus },
  { name: constantPiece('"trace.trace_id"'), index: traceId },
  { name: constantPiece('"trace.parent_span_id"'), index: textIndex.traceParentSpanId },
]

export function putContexts(event: ErrorEvent): void {
  const { contexts, contextFields, texts } = event
  const fields = sortFields(event)
  let isFirst = true
  put(keys)
  for (let at = 0; at < fields.length; at += 2) {
    if (!isFirst) putByte(comma)
    isFirst = false
    putByte(quote)
    contexts.putKey(fields[at] ?? 0)
    putByte(dot)
    contextFields.putKey(fields[at + 1] ?? 0)
    putByte(quote)
  }
  for (const { name, index } of traceFields) {
    if (index === traceId ? event.traceId === undefined : texts.isNull(index)) continue
    if (!isFirst) putByte(comma)
    isFirst = false
    put(name)
  }
  put(values)
  isFirst = true
  for (let at = 0; at < fields.length; at += 2) {
    if (!isFirst) putByte(comma)
    isFirst = false
    contextFields.putValue(fields[at + 1] ?? 0)
  }
  for (const { index } of traceFields) {
    if (index === traceId ? event.traceId === undefined : texts.isNull(index)) continue
    if (!isFirst) putByte(comma)
    isFirst = false
    if (index !== traceId) texts.putOne(index)
    else if (event.traceId !== undefined) {
      putByte(quote)
      putUuidDigits(event.traceId)
      putByte(quote)
    }
  }
  putByte(closeBracket)
}

/** Pairs of a context and its field, sorted by both names, without what has no text. */
function sortFields({ contexts, contextFields, geoFirst, geoNext }: ErrorEvent): number[] {
  if (geoNext > geoFirst) {
    contexts.addKeyText('geo')
    contexts.addValue(null, geoFirst, geoNext)
  }
  const found: number[] = []
  for (const context of contexts.sortedOnce(0, contexts.count)) {
    const fields = contextFields.sortedOnce(contexts.valueStart(context), contexts.valueEnd(context))
    for (const field of fields)
      if (contextFields.valueText(field) !== null && !contextFields.isKey(field, 'type'))
        found.push(context, field)
  }
  return found
}
