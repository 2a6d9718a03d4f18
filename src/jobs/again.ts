import { isRetryable, isRowmillError } from '../errors/rowmill-error.ts'

/** Whether a statement may succeed when it is made again: PostgreSQL was away, or two statements were in each other's way. */
export function isWorthAgain(error: unknown): boolean {
  return isRetryable(error) || (isRowmillError(error) && error.details.isConflict === true)
}
