import pg from 'pg'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Endpoint } from './endpoint.ts'

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
  // The pool hangs the whole client onto an error, with the key that cancels its queries: not for logs.
  Reflect.deleteProperty(error, 'client')
  return new RowmillError('DATABASE_UNAVAILABLE', 'PostgreSQL could not be reached.', { cause: error })
}

/** What an operator does about a refusal, by its SQLSTATE. */
const advice = new Map([
  ['28P01', 'Correct the user or the password there, or database.password (PGPASSWORD).'],
  ['28000', "Allow this user and address in PostgreSQL's pg_hba.conf; it may also want sslmode=require."],
  ['3D000', 'Create the database, or correct the name there.'],
])

/**
 * Why a connection did not come about, with the setting that names the place. A server that cannot take what
 * belongs to a session is a pooler: `CONFIG_INVALID`.
 */
export function connectFailure(error: unknown, endpoint: Endpoint): unknown {
  const { setting, address } = endpoint
  if (error instanceof pg.DatabaseError && error.code === '08P01') return poolerFailure(endpoint)
  const failure = failureOf(error)
  if (!(failure instanceof RowmillError)) return failure
  const { cause, details, code } = failure
  const sqlState = typeof details.sqlState === 'string' ? details.sqlState : ''
  const said = cause instanceof Error ? `${failure.message} ${reasonOf(cause)}` : failure.message
  const more = advice.get(sqlState)
  return new RowmillError(code, `${setting}, ${address}: ${said}${more === undefined ? '' : ` ${more}`}`, {
    ...(cause === undefined ? {} : { cause }),
    details,
  })
}

/** Behind `database.url` there is a pooler, but nothing says where PostgreSQL itself is. */
export function poolerFailure({ setting, address }: Endpoint): RowmillError {
  return new RowmillError(
    'CONFIG_INVALID',
    setting.startsWith('database.directUrl')
      ? `${setting} leads to a pooler at ${address}; it must be the address of PostgreSQL itself.`
      : `${setting} leads to a pooler at ${address} that does not take session settings, such as PgBouncer; set database.directUrl (DATABASE_DIRECT_URL) to the address of PostgreSQL itself, for locks and listeners.`,
  )
}

/** The errors of sockets and TLS quote no values: codes, hosts, names in certificates. */
function reasonOf(cause: Error): string {
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
  const inner = cause instanceof AggregateError ? cause.errors.find((one) => one instanceof Error) : undefined
  const text = (inner ?? cause).message.replace(/\.$/, '')
  const isAboutTls = code !== undefined && /CERT|SIGN|TLS|SSL/.test(code)
  if (isAboutTls)
    return `${text}: give the authority of its certificate in database.sslRootCert (PGSSLROOTCERT), and connect by a name that the certificate has.`
  if (/does not support SSL/.test(text)) return `${text}: switch TLS on there, or say sslmode=disable.`
  return `${text}.`
}

const unavailableStates = /^(08...|53...|57P0[1235]|57014|55P03|25006|25P03|58030)$/

function failureOfServer(error: pg.DatabaseError): RowmillError {
  const sqlState = error.code ?? ''
  const said = sqlState.startsWith('22') ? error.message.replace(/:.*$/s, '') : error.message
  if (unavailableStates.test(sqlState))
    return new RowmillError('DATABASE_UNAVAILABLE', `PostgreSQL is not available (${sqlState}): ${said}.`, {
      details: { sqlState },
    })
  if (sqlState === '42501')
    return new RowmillError(
      'DATABASE_REFUSED',
      `PostgreSQL refused a statement (${sqlState}): ${said}. Grant it to the user of database.url (DATABASE_URL).`,
      { details: { sqlState } },
    )
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
