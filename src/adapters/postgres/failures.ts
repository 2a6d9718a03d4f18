import pg from 'pg'
import { RowmillError } from '../../errors/rowmill-error.ts'

/**
 * What PostgreSQL or the way to it said, as an operating error. PostgreSQL's own error object is not kept as
 * the cause: its detail and context quote column values, and those may be properties of events.
 *
 * A statement that PostgreSQL cancelled or that waited too long for a lock counts as unavailable: the same
 * call may succeed under less load. A conflict between transactions is `DATABASE_REFUSED` with
 * `isConflict: true` in `details`: only the whole transaction can be tried again.
 */
export function failureOf(error: unknown): unknown {
  if (error instanceof RowmillError) return error
  if (error instanceof pg.DatabaseError) return failureOfServer(error)
  // The library reports a bad argument by these kinds; everything else is about the connection.
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return error
  return new RowmillError('DATABASE_UNAVAILABLE', 'PostgreSQL could not be reached.', { cause: error })
}

const unavailableStates = /^(08...|53...|57P0[1235]|57014|55P03|25006|25P03|58030)$/

function failureOfServer(error: pg.DatabaseError): RowmillError {
  const sqlState = error.code ?? ''
  const said = sqlState.startsWith('22') ? error.message.replace(/:.*$/s, '') : error.message
  if (unavailableStates.test(sqlState))
    return new RowmillError('DATABASE_UNAVAILABLE', `PostgreSQL is not available (${sqlState}): ${said}.`, {
      details: { sqlState },
    })
  const details = {
    sqlState,
    constraint: error.constraint,
    table: error.table,
    column: error.column,
    position: error.position,
    ...(sqlState === '40001' || sqlState === '40P01' ? { isConflict: true } : {}),
  }
  const known = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined))
  return new RowmillError('DATABASE_REFUSED', `PostgreSQL refused a statement (${sqlState}): ${said}.`, {
    details: known,
  })
}
