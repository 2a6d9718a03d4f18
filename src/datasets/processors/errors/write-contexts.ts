/** Writes the columns `contexts.key` and `contexts.value`: fields of contexts, then some of the trace. */
import type { RowBytes } from '../event-fields/row-bytes.ts'
import { type ErrorEvent, textIndex } from './error-event.ts'

const quote = 0x22
const comma = 0x2c
const dot = 0x2e
const closeBracket = 0x5d
const keys = Buffer.from('{"contexts.key":[')
const values = Buffer.from('],"contexts.value":[')

const traceId = -1
/** Some of the trace's fields stand behind the other contexts, in this order. */
const traceFields = [
  { name: Buffer.from('"trace.client_sample_rate"'), index: textIndex.traceSampleRate },
  { name: Buffer.from('"trace.op"'), index: textIndex.traceOp },
  { name: Buffer.from('"trace.span_id"'), index: textIndex.traceSpanId },
  { name: Buffer.from('"trace.status"'), index: textIndex.traceStatus },
  { name: Buffer.from('"trace.trace_id"'), index: traceId },
  { name: Buffer.from('"trace.parent_span_id"'), index: textIndex.traceParentSpanId },
]

export function writeContexts(row: RowBytes, event: ErrorEvent, source: Buffer): void {
  const { contexts, contextFields, texts } = event
  const fields = sortFields(event)
  let isFirst = true
  row.fixed(keys)
  for (let at = 0; at < fields.length; at += 2) {
    if (!isFirst) row.byte(comma)
    isFirst = false
    row.byte(quote)
    contexts.writeKey(row, fields[at] ?? 0)
    row.byte(dot)
    contextFields.writeKey(row, fields[at + 1] ?? 0)
    row.byte(quote)
  }
  for (const { name, index } of traceFields) {
    if (index === traceId ? event.traceId === undefined : texts.isNull(index)) continue
    if (!isFirst) row.byte(comma)
    isFirst = false
    row.fixed(name)
  }
  row.fixed(values)
  isFirst = true
  for (let at = 0; at < fields.length; at += 2) {
    if (!isFirst) row.byte(comma)
    isFirst = false
    contextFields.writeValue(row, fields[at + 1] ?? 0)
  }
  for (const { index } of traceFields) {
    if (index === traceId ? event.traceId === undefined : texts.isNull(index)) continue
    if (!isFirst) row.byte(comma)
    isFirst = false
    if (index !== traceId) texts.writeOne(row, source, index)
    else if (event.traceId !== undefined) {
      row.byte(quote)
      row.uuid(source, event.traceId, 'omit')
      row.byte(quote)
    }
  }
  row.byte(closeBracket)
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
