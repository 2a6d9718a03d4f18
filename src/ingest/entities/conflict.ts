import { isRowmillError } from '../../errors/rowmill-error.ts'

/** Somebody else wrote between the load and the write of a batch. It never leaves this role. */
export class WriteConflict extends Error {
  override readonly name = 'WriteConflict'
}

/**
 * SQL states by which PostgreSQL tells of another writer: a row with this key appeared, the row that is
 * pointed to went away, two transactions waited for each other, or could not be put in an order.
 */
const conflictStates: ReadonlySet<unknown> = new Set(['23505', '23503', '40P01', '40001'])

export function isConflict(error: unknown): boolean {
  if (error instanceof WriteConflict) return true
  return isRowmillError(error, 'DATABASE_REFUSED') && conflictStates.has(error.details.sqlState)
}

export function expectCount(what: string, actual: number, expected: number): void {
  if (actual !== expected)
    throw new WriteConflict(`The batch could not ${what}: ${actual} of ${expected} rows were as expected.`)
}
