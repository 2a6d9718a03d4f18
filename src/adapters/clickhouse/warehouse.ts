/**
 * The Warehouse port on ClickHouse's HTTP interface: the embedded one or any server.
 *
 * - An insert is sent as one block, so that it is written whole or not at all, and a repeated token is
 *   recognised whole.
 * - `query` lets ClickHouse finish before it answers, so that an error in mid-answer is an error.
 * - `stream` hands on bytes as they come and fails when ClickHouse ends them with an error.
 */
import { Readable } from 'node:stream'
import {
  type ClickHouseClient,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Warehouse, WarehouseInsert, WarehouseQuery } from '../../ports/warehouse.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { WarehouseConfig } from './config.ts'
import { exceptionAtEnd, warehouseError } from './failures.ts'
import { type BodyCoding, packBody } from './pack-body.ts'

export type WarehouseContext = { clock: Clock; random: Random; logger: Logger; metrics: Metrics }

export type WarehouseConnection = { url: string; user: string; password: string; database: string }

/** Blocks are cut nowhere below these, so that one insert is one block. */
const oneBlock: ClickHouseSettings = {
  async_insert: 0,
  max_insert_block_size: '100000000',
  min_insert_block_size_rows: '100000000',
  min_insert_block_size_bytes: '2147483648',
}

/** Looked through for an error at the end of an answer; ClickHouse cuts its messages at 16 KiB. */
const tailBytes = 32_768

/** Connects, and creates the database if it is missing. Fails with `WAREHOUSE_UNAVAILABLE` or `WAREHOUSE_REFUSED`. */
export async function openWarehouse(
  _context: WarehouseContext,
  config: WarehouseConfig & WarehouseConnection,
): Promise<Warehouse> {
  await createDatabase(config)
  return new ClickHouseWarehouse(config)
}

async function createDatabase(config: WarehouseConfig & WarehouseConnection): Promise<void> {
  const client = createClient(clientOptions(config))
  try {
    await client.command({
      query: `CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(config.database)}`,
    })
  } catch (error) {
    throw warehouseError(error, { what: `create the database ${config.database}` })
  } finally {
    await client.close()
  }
}

function clientOptions(config: WarehouseConfig & WarehouseConnection) {
  return {
    url: config.url,
    username: config.user,
    password: config.password,
    application: 'rowmill',
    // Failures reach the caller as errors; the client would print them too.
    log: { level: ClickHouseLogLevel.OFF },
    request_timeout: config.requestTimeoutMs,
    max_open_connections: config.connectionsMax,
    // Bodies are packed here, each as its insert asks for.
    compression: { request: false, response: config.isCompressed },
    keep_alive: { enabled: true, idle_socket_ttl: 2500 },
  }
}

class ClickHouseWarehouse implements Warehouse {
  readonly database: string
  readonly #client: ClickHouseClient
  readonly #usualCoding: BodyCoding
  #isClosed = false

  constructor(config: WarehouseConfig & WarehouseConnection) {
    this.database = config.database
    this.#usualCoding = config.isCompressed ? 'gzip' : 'none'
    this.#client = createClient({ ...clientOptions(config), database: config.database })
  }

  async insert(insert: WarehouseInsert): Promise<{ rowsWritten: number }> {
    const { table, format, columns, token, signal } = insert
    const parts: readonly Buffer[] = Buffer.isBuffer(insert.body) ? [insert.body] : insert.body
    if (parts.every((part) => part.length === 0)) return { rowsWritten: 0 }
    const { compression = 'none' } = insert
    const packed = await packBody(parts, compression === 'none' ? this.#usualCoding : compression)
    const list = columns === undefined ? '' : ` (${columns.map(quoteIdentifier).join(', ')})`
    try {
      const result = await this.#client.exec({
        query: `INSERT INTO ${table.split('.').map(quoteIdentifier).join('.')}${list} FORMAT ${format}`,
        values: Readable.from(packed.body, { objectMode: false }),
        http_headers: packed.headers,
        clickhouse_settings: {
          ...oneBlock,
          ...insert.settings,
          ...(token === undefined ? {} : { insert_deduplication_token: token }),
        },
        ...(signal === undefined ? {} : { abort_signal: signal }),
      })
      for await (const _ of result.stream);
      return { rowsWritten: Number(result.summary?.written_rows ?? 0) }
    } catch (error) {
      throw warehouseError(error, { what: `insert into ${table}`, signal })
    }
  }

  async query<Row extends object>(sql: string, options: WarehouseQuery = {}): Promise<Row[]> {
    try {
      const result = await this.#client.query({
        ...requestOf(sql, options, { wait_end_of_query: 1 }),
        format: 'JSONEachRow',
      })
      return await result.json<Row>()
    } catch (error) {
      throw warehouseError(error, { what: 'run a query', signal: options.signal })
    }
  }

  async stream(sql: string, options: WarehouseQuery & { format: string }): Promise<Readable> {
    const { signal, format } = options
    try {
      // The client knows no parameter for the default format; it travels with the settings.
      const result = await this.#client.exec(requestOf(sql, options, { default_format: format }))
      const tag = result.response_headers['x-clickhouse-exception-tag']
      return Readable.from(checked(result.stream, { tag: Array.isArray(tag) ? tag[0] : tag, signal }), {
        objectMode: false,
      })
    } catch (error) {
      throw warehouseError(error, { what: 'run a query', signal })
    }
  }

  async command(sql: string, options: WarehouseQuery = {}): Promise<void> {
    try {
      await this.#client.command(requestOf(sql, options, { wait_end_of_query: 1 }))
    } catch (error) {
      throw warehouseError(error, { what: 'run a statement', signal: options.signal })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#client.close()
  }
}

function requestOf(
  sql: string,
  options: WarehouseQuery,
  settings: Readonly<Record<string, string | number>>,
) {
  const { parameters, signal, queryId, isReadOnly } = options
  return {
    query: sql,
    clickhouse_settings: {
      ...settings,
      output_format_json_quote_64bit_integers: 1 as const,
      ...options.settings,
      ...(isReadOnly === true ? { readonly: '1' } : {}),
    },
    ...(parameters === undefined ? {} : { query_params: { ...parameters } }),
    ...(signal === undefined ? {} : { abort_signal: signal }),
    ...(queryId === undefined ? {} : { query_id: queryId }),
  }
}

/** The bytes of an answer, failing at the end when it ends with ClickHouse's error. */
async function* checked(
  stream: AsyncIterable<unknown>,
  options: { tag: string | undefined; signal: AbortSignal | undefined },
): AsyncGenerator<Buffer, void> {
  let tail = Buffer.alloc(0)
  try {
    for await (const chunk of stream) {
      if (!Buffer.isBuffer(chunk)) continue
      tail =
        chunk.length >= tailBytes
          ? Buffer.from(chunk.subarray(-tailBytes))
          : Buffer.concat([tail, chunk]).subarray(-tailBytes)
      yield chunk
    }
  } catch (error) {
    const cause = exceptionAtEnd(tail, options.tag) ?? error
    throw warehouseError(cause, { what: 'finish a query', signal: options.signal })
  }
  const found = exceptionAtEnd(tail, options.tag)
  if (found !== undefined) throw warehouseError(found, { what: 'finish a query' })
}

/** A ClickHouse identifier in backticks. */
export function quoteIdentifier(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
}
