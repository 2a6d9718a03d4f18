/** The columns of a transaction's spans, the transaction itself among them. */
import { JsonFloat } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { Row } from '../../processor/processor.ts'
import { requireHex64 } from '../event-fields/python-fields.ts'
import { comparePyText, numberOf, type PyDict, requireDict } from '../event-fields/python-value.ts'

type Span = { op: string; group: bigint; exclusiveTime: number }

/** Spans without an operation, a hash or a time of their own are left out; beyond `spansMax` all are. */
export function spanColumns(trace: PyDict, data: PyDict, spansMax: number): Row {
  const spans: Span[] = []
  const root = readSpan(trace, '[2].data.contexts.trace')
  if (root !== undefined) spans.push(root)
  const list = data.has('spans') ? data.get('spans') : []
  if (!Array.isArray(list)) throw new InvalidMessage('Expected a list.', { path: '[2].data.spans' })
  for (const [index, item] of list.entries()) {
    if (spans.length >= spansMax) break
    const path = `[2].data.spans[${index}]`
    const span = readSpan(requireDict(item, path), path)
    if (span !== undefined) spans.push(span)
  }
  spans.sort(compareSpans)
  return {
    'spans.op': spans.map(({ op }) => op),
    'spans.group': spans.map(({ group }) => group),
    'spans.exclusive_time': spans.map(() => new JsonFloat(0)),
    'spans.exclusive_time_32': spans.map(({ exclusiveTime }) => new JsonFloat(exclusiveTime)),
  }
}

function readSpan(span: PyDict, path: string): Span | undefined {
  const op = span.get('op') ?? null
  const hash = span.get('hash') ?? null
  const time = span.get('exclusive_time') ?? null
  if (op === null || hash === null || time === null) return undefined
  if (typeof op !== 'string') throw new InvalidMessage('Expected a text.', { path: `${path}.op` })
  const exclusiveTime = numberOf(time)
  if (exclusiveTime === undefined)
    throw new InvalidMessage('Expected a number.', { path: `${path}.exclusive_time` })
  return { op, group: requireHex64(hash, `${path}.hash`), exclusiveTime }
}

function compareSpans(left: Span, right: Span): number {
  const byOp = left.op === right.op ? 0 : comparePyText(left.op, right.op)
  if (byOp !== 0) return byOp
  if (left.group !== right.group) return left.group < right.group ? -1 : 1
  return left.exclusiveTime - right.exclusiveTime
}
