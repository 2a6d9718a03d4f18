/** The Database's contract on Debian's PostgreSQL: over TLS, plain, and behind PgBouncer in transaction mode. */
import { after, describe } from 'node:test'
import { exerciseDatabase } from '../../../src/ports/database.contract.ts'
import { noPgBouncer, openPgBouncer } from '../../support/engines/pgbouncer.ts'
import {
  noPostgres,
  openPostgres,
  type PostgresOptions,
  type TestPostgres,
} from '../../support/engines/postgres.ts'
import { openOn } from './support.ts'

type Place = { url: string; settings: Record<string, unknown> }

function exercise(name: string, place: (stack: AsyncDisposableStack) => Promise<Place>): void {
  exerciseDatabase(name, async () => {
    await using stack = new AsyncDisposableStack()
    const { url, settings } = await place(stack)
    const database = stack.use(await openOn(url, settings))
    const owned = stack.move()
    return {
      database,
      another: async () => owned.use(await openOn(url, settings)),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  })
}

/** One server for the file: each case has a database of its own on it. */
function createServer(options: PostgresOptions = {}) {
  let server: Promise<TestPostgres> | undefined
  return {
    open() {
      server ??= openPostgres(options)
      return server
    },
    [Symbol.asyncDispose]: async () => (await server)?.[Symbol.asyncDispose](),
  }
}

describe('the Database on an outer PostgreSQL', { skip: noPostgres }, () => {
  const server = createServer()
  after(() => server[Symbol.asyncDispose]())
  exercise('PostgreSQL', async () => ({ url: await (await server.open()).createDatabase(), settings: {} }))
})

describe('the Database over TLS', { skip: noPostgres }, () => {
  const server = createServer({ wantsClientCertificate: true })
  after(() => server[Symbol.asyncDispose]())
  exercise('PostgreSQL over TLS', async () => ({
    url: await (await server.open()).createDatabase(),
    settings: {},
  }))
})

describe('the Database behind PgBouncer', { skip: noPostgres || noPgBouncer }, () => {
  const server = createServer()
  after(() => server[Symbol.asyncDispose]())
  exercise('PgBouncer', async (stack) => {
    const directUrl = await (await server.open()).createDatabase()
    const { url } = stack.use(await openPgBouncer(directUrl, { serversMax: 10 }))
    return { url, settings: { directUrl } }
  })
})
