/** What ClickHouse's errors mean for callers of the Warehouse port. */
import type { Readable } from 'node:stream'
import { RowmillError } from '../../errors/rowmill-error.ts'

/** Overload, memory, disk, network, keeper, quorum, shutdown: the same statement may succeed later. */
const passingCodes = new Set([
  ...[202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285, 286, 289, 319, 394],
  ...[425, 439, 636, 745, 999],
])

/** Failures that are the host's own, so that it is left alone for a while. */
const hostCodes = new Set([210, 225, 236, 242, 243, 279, 999])

/** What ClickHouse, or a proxy before it, answered instead of what was asked for. */
export class ServerFailure extends Error {
  override readonly name = 'ServerFailure'
  /** ClickHouse's number; 0 when the answer was not ClickHouse's. */
  readonly code: number
  readonly type: string
  readonly status: number

  constructor(parts: { code: number; type: string; message: string; status: number }) {
    super(parts.message)
    this.code = parts.code
    this.type = parts.type
    this.status = parts.status
  }
}

/** The operating error for what was thrown; an abort comes back as the signal's reason. */
export function warehouseError(
  error: unknown,
  options: { what: string; signal?: AbortSignal | undefined },
): unknown {
  const { what, signal } = options
  if (signal?.aborted === true) return signal.reason
  if (error instanceof RowmillError) return error
  if (!(error instanceof ServerFailure))
    return new RowmillError(
      'WAREHOUSE_UNAVAILABLE',
      `ClickHouse could not be reached to ${what}${reasonOf(error)}`,
      { cause: error },
    )
  const details = { code: error.code, name: error.type }
  if (error.code === 0)
    return new RowmillError(
      isPassing(error) ? 'WAREHOUSE_UNAVAILABLE' : 'WAREHOUSE_REFUSED',
      `ClickHouse did not answer the request to ${what}, something before it said ${error.status}; check warehouse.url (CLICKHOUSE_HOST).`,
      { cause: error, details: { status: error.status } },
    )
  if (isPassing(error))
    return new RowmillError('WAREHOUSE_UNAVAILABLE', `ClickHouse has no room to ${what}: ${error.type}.`, {
      cause: error,
      details,
    })
  const more = advice.get(error.code)
  return new RowmillError(
    'WAREHOUSE_REFUSED',
    `ClickHouse refused to ${what}: ${error.message}${more === undefined ? '' : ` ${more}`}`,
    { cause: error, details },
  )
}

const advice = new Map([
  [516, 'Correct warehouse.user (CLICKHOUSE_USER) or warehouse.password (CLICKHOUSE_PASSWORD).'],
  [497, 'Grant it to the user of warehouse.user (CLICKHOUSE_USER).'],
  [170, 'Correct warehouse.cluster (CLICKHOUSE_CLUSTER) to a name that system.clusters has.'],
  [701, 'Correct warehouse.cluster (CLICKHOUSE_CLUSTER) to a name that system.clusters has.'],
])

/** Whether the same request may succeed later, or on another host. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ServerFailure)) return true
  if (error.code === 0) return error.status >= 500 || error.status === 429
  return passingCodes.has(error.code)
}

/** Whether the failure is one of the host rather than of the request. */
export function isOfHost(error: unknown): boolean {
  if (!(error instanceof ServerFailure)) return true
  return error.code === 0 ? isPassing(error) : hostCodes.has(error.code)
}

/** Errors of sockets and certificates quote no values. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return '.'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const inner = error instanceof AggregateError ? error.errors.find((one) => one instanceof Error) : undefined
  const text = (inner ?? error).message.replace(/\.$/, '')
  if (/CERT|SIGNATURE|ERR_TLS/.test(code))
    return `: ${text}. Give the authority of its certificate in warehouse.caCert (CLICKHOUSE_CA).`
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('HPE_'))
    return `: ${text}. Whether TLS is spoken is said by http:// or https:// in warehouse.url (CLICKHOUSE_HOST), or warehouse.isSecure (CLICKHOUSE_SECURE).`
  return `: ${text}.`
}

const failureBytesMax = 65_536
const failureForm = /Code: (\d+)\. DB::Exception: ([\s\S]*?) \(([A-Z0-9_]+)\)(?: \(version|\s*$)/

/** Reads the answer of a request that failed. */
export async function readFailure(
  answer: Readable & { statusCode?: number | undefined; headers: Record<string, unknown> },
): Promise<ServerFailure> {
  const status = answer.statusCode ?? 0
  let text = ''
  for await (const chunk of answer) if (text.length < failureBytesMax) text += String(chunk)
  const found = failureForm.exec(text)
  if (found !== null) return failureFrom(found, status)
  const code = Number(answer.headers['x-clickhouse-exception-code'] ?? 0)
  return new ServerFailure({ code, type: '', message: text.slice(0, 500).trim(), status })
}

function failureFrom(found: RegExpExecArray, status: number): ServerFailure {
  const [, code = '0', message = '', type = ''] = found
  return new ServerFailure({ code: Number(code), message, type, status })
}

/**
 * The error that ClickHouse wrote into the end of an answer. `tag` comes from the answer's headers; without
 * one nothing is looked for, because rows may hold any text.
 */
export function exceptionAtEnd(tail: Buffer, tag: string | undefined): ServerFailure | undefined {
  if (tag === undefined || tag === '') return undefined
  const text = tail.toString()
  const start = text.lastIndexOf(`__exception__\r\n${tag}\r\n`)
  if (start < 0) return undefined
  const found = failureForm.exec(text.slice(start))
  if (found !== null) return failureFrom(found, 200)
  return new ServerFailure({ code: 1001, type: '', message: 'The answer ended with an error.', status: 200 })
}
