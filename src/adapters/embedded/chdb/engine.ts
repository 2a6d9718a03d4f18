/**
 * The chDB engine of this process: one data directory, any number of connections.
 *
 * A connection runs one statement at a time and remembers what `SET` and `USE` did to it, so every request
 * gets a connection of its own, which costs about a millisecond. The addon is used below chDB's own Session
 * class: a Session's close waits for every statement that runs in the process, and bound parameters are
 * serialised process-wide there. A connection is closed only after its statement has ended: closing it
 * earlier aborts the engine.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export type ReadResult = { bytes: Uint8Array; elapsed: number; rowsRead: number; bytesRead: number }
export type WriteResult = { rowsWritten: number; bytesWritten: number; elapsed: number }

type Native = {
  CreateConnection(path: string, args: readonly string[]): unknown
  CloseConnection(connection: unknown): void
  QueryAsyncConnection(connection: unknown, sql: string, format: string): Promise<ReadResult>
  InsertRawAsyncConnection(
    connection: unknown,
    sql: string,
    data: Buffer,
    countLines: boolean,
  ): Promise<WriteResult>
}

/** One session of the engine. Statements on it must not overlap. */
export interface Connection extends AsyncDisposable {
  /** Runs a statement and gives its answer whole: for small answers. */
  read(sql: string, format?: string): Promise<ReadResult>
  /** Runs a statement and gives what the engine wrote, materialized views included. */
  write(sql: string): Promise<WriteResult>
}

export interface Engine extends AsyncDisposable {
  connect(): Connection
}

/** Opens the data directory. Throws the engine's error when it cannot, for example when another process has it. */
export function openEngine(options: { directory: string; connectionArgs: readonly string[] }): Engine {
  const native = loadNative()
  const create = () => native.CreateConnection(options.directory, options.connectionArgs)
  // The first connection holds the engine open between requests.
  const root = createConnection(native, create())
  const connections = new Set<Connection>([root])
  return {
    connect() {
      const connection = createConnection(native, create(), () => connections.delete(connection))
      connections.add(connection)
      return connection
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(
        [...connections].filter((one) => one !== root).map((one) => one[Symbol.asyncDispose]()),
      )
      await root[Symbol.asyncDispose]()
    },
  }
}

/** A line break that the engine's inline data parser takes for no data. */
const noData = Buffer.from('\n')

function createConnection(native: Native, handle: unknown, onClose?: () => void): Connection {
  let running: Promise<unknown> = Promise.resolve()
  let closing: Promise<void> | undefined
  const track = <T>(work: Promise<T>): Promise<T> => {
    running = work.then(
      () => undefined,
      () => undefined,
    )
    return work
  }
  return {
    read: (sql, format = 'TabSeparated') => track(native.QueryAsyncConnection(handle, sql, format)),
    write: (sql) => track(native.InsertRawAsyncConnection(handle, sql, noData, false)),
    [Symbol.asyncDispose]() {
      closing ??= running.then(() => {
        native.CloseConnection(handle)
        onClose?.()
      })
      return closing
    },
  }
}

function loadNative(): Native {
  const require = createRequire(import.meta.url)
  const loader: { loadNative(): Native } = require(
    join(dirname(require.resolve('chdb/package.json')), 'dist', 'loader.js'),
  )
  return loader.loadNative()
}

/** A ClickHouse string literal. */
export function quoteString(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')
  return `'${escaped}'`
}

/** A ClickHouse identifier in backticks. */
export function quoteIdentifier(value: string): string {
  return `\`${value.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('\0', '\\0')}\``
}
