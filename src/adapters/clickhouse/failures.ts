/** What ClickHouse's errors mean for callers of the Warehouse port. */
import { ClickHouseError } from '@clickhouse/client'
import { RowmillError } from '../../errors/rowmill-error.ts'

/** Overload, memory, disk, network, keeper, shutdown: the same statement may succeed later. */
const passingCodes = new Set([
  ...['202', '203', '209', '210', '225', '236', '241', '242', '243', '252', '279', '285', '319', '394'],
  ...['425', '439', '636', '745', '999'],
])

/** The operating error for what the client threw; an abort comes back as the signal's reason. */
export function warehouseError(
  error: unknown,
  options: { what: string; signal?: AbortSignal | undefined },
): unknown {
  const { what, signal } = options
  if (signal?.aborted === true) return signal.reason
  if (error instanceof RowmillError) return error
  if (error instanceof ClickHouseError) {
    const details = { code: Number(error.code), name: error.type ?? '' }
    if (passingCodes.has(error.code))
      return new RowmillError(
        'WAREHOUSE_UNAVAILABLE',
        `ClickHouse has no room to ${what}: ${details.name}.`,
        {
          cause: error,
          details,
        },
      )
    return new RowmillError('WAREHOUSE_REFUSED', `ClickHouse refused to ${what}: ${error.message}`, {
      cause: error,
      details,
    })
  }
  return new RowmillError('WAREHOUSE_UNAVAILABLE', `ClickHouse could not be reached to ${what}.`, {
    cause: error,
  })
}

/**
 * The error that ClickHouse wrote into the end of an answer. `tag` comes from the answer's headers; without
 * one nothing is looked for, because rows may hold any text.
 */
export function exceptionAtEnd(tail: Buffer, tag: string | undefined): ClickHouseError | undefined {
  if (tag === undefined || tag === '') return undefined
  const text = tail.toString()
  const start = text.lastIndexOf(`__exception__\r\n${tag}\r\n`)
  if (start < 0) return undefined
  const body = text.slice(start)
  const found = /Code: (\d+)\. DB::Exception: ([\s\S]*?) \(([A-Z0-9_]+)\) \(version/.exec(body)
  return new ClickHouseError({
    code: found?.[1] ?? '1001',
    message: found?.[2] ?? 'The answer ended with an error.',
    ...(found?.[3] === undefined ? {} : { type: found[3] }),
  })
}
