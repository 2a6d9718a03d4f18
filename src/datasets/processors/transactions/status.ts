/** Names of a span's status and the numbers of it, which are gRPC's codes. */
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { PyValue } from '../event-fields/python-value.ts'
import { isTruthy } from '../event-fields/python-value.ts'

const unknown = 2
const codes = new Map([
  ['ok', 0],
  ['cancelled', 1],
  ['unknown', unknown],
  ['unknown_error', unknown],
  ['invalid_argument', 3],
  ['deadline_exceeded', 4],
  ['not_found', 5],
  ['already_exists', 6],
  ['permission_denied', 7],
  ['resource_exhausted', 8],
  ['failed_precondition', 9],
  ['aborted', 10],
  ['out_of_range', 11],
  ['unimplemented', 12],
  ['internal_error', 13],
  ['unavailable', 14],
  ['data_loss', 15],
  ['unauthenticated', 16],
])

export function statusCode(status: PyValue | undefined): number {
  if (isTruthy(status) && (Array.isArray(status) || status instanceof Map))
    throw new InvalidMessage('Expected a name.', { path: '[2].data.contexts.trace.status' })
  return typeof status === 'string' ? (codes.get(status) ?? unknown) : unknown
}
