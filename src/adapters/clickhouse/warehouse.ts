/**
 * The Warehouse port on ClickHouse's HTTP interface: the embedded one, any server, or several hosts of a cluster.
 *
 * - An insert is sent as one block, so that it is written whole or not at all, and a repeated token is
 *   recognised whole.
 * - `query` lets ClickHouse finish before it answers, so that an error in mid-answer is an error.
 * - `stream` hands on bytes as they come and fails when ClickHouse ends them with an error, or they are cut.
 * - What may be repeated goes to the next host when one fails: reads, and inserts with a token. Anything else is
 *   repeated only where the host cannot have seen it. Each host is tried once per call; whoever calls waits and
 *   calls again.
 */
import { Readable } from 'node:stream'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Warehouse, WarehouseInsert, WarehouseQuery } from '../../ports/warehouse.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { clusterCommand } from './cluster/cluster-statements.ts'
import type { WarehouseConfig } from './config.ts'
import { exceptionAtEnd, isOfHost, isPassing, warehouseError } from './failures.ts'
import { createHosts, type Hosts, readHosts } from './hosts.ts'
import { type BodyCoding, packBody } from './pack-body.ts'
import { parameterText } from './parameters.ts'
import {
  type HttpAnswer,
  type HttpRequest,
  isStale,
  isUnseen,
  openTransport,
  type Transport,
} from './transport.ts'

export type WarehouseContext = { clock: Clock; random: Random; logger: Logger; metrics: Metrics }

export type WarehouseConnection = {
  /** A host, `host:port`, a URL, or several of them separated by commas. */
  url: string
  user: string
  password: string
  database: string
  /** Whether hosts without `http://` or `https://` speak TLS. */
  isSecure?: boolean | undefined
}

type Settings = Readonly<Record<string, string | number>>

/** Blocks are cut nowhere below these, so that one insert is one block. */
const oneBlock: Settings = {
  async_insert: 0,
  max_insert_block_size: 100_000_000,
  min_insert_block_size_rows: 100_000_000,
  min_insert_block_size_bytes: 2_147_483_648,
}

/**
 * What a table over all shards was given is in the shards when it is answered; reads come from all shards or fail,
 * also where two such tables are joined.
 */
const onCluster: Settings = {
  distributed_foreground_insert: 1,
  skip_unavailable_shards: 0,
  distributed_product_mode: 'global',
}

/** Looked through for an error at the end of an answer; ClickHouse cuts its messages at 16 KiB. */
const tailBytes = 32_768

/**
 * Connects, and creates the database if it is missing. Fails with `WAREHOUSE_UNAVAILABLE`, `WAREHOUSE_REFUSED` or
 * `CONFIG_INVALID`.
 */
export async function openWarehouse(
  context: WarehouseContext,
  config: WarehouseConfig & WarehouseConnection,
): Promise<Warehouse> {
  const urls = readHosts(config.url, { isSecure: config.isSecure === true })
  await using stack = new AsyncDisposableStack()
  const transport = stack.use(await openTransport(context, config))
  const { hostPauseMs, hostPauseMsMax } = config
  const ping = (host: string) => transport.ping(host)
  const hosts = createHosts(context, { urls, hostPauseMs, hostPauseMsMax, ping })
  const everywhere = config.cluster === undefined ? '' : ` ON CLUSTER ${quoteIdentifier(config.cluster)}`
  const first = new ClickHouseWarehouse({ transport, hosts, config, database: 'default' })
  const { database } = config
  await first.run(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(database)}${everywhere}`, {
    what: `create the database ${database}`,
    isRepeatable: true,
  })
  stack.move()
  return new ClickHouseWarehouse({ transport, hosts, config, database })
}

/** The cluster whose tables this Warehouse holds, as its settings name it. */
export function clusterOf(warehouse: Warehouse): string | undefined {
  return warehouse instanceof ClickHouseWarehouse ? warehouse.cluster : undefined
}

type Parts = { transport: Transport; hosts: Hosts; config: WarehouseConfig; database: string }
type Sending = { what: string; isRepeatable: boolean; signal: AbortSignal | undefined }

class ClickHouseWarehouse implements Warehouse {
  readonly database: string
  readonly cluster: string | undefined
  readonly #parts: Parts
  readonly #usualCoding: BodyCoding
  readonly #insertSettings: Settings
  readonly #readSettings: Settings
  #isClosed = false

  constructor(parts: Parts) {
    const { isCompressed, cluster, insertQuorum } = parts.config
    this.database = parts.database
    this.cluster = cluster
    this.#parts = parts
    this.#usualCoding = isCompressed ? 'zstd' : 'none'
    this.#readSettings = {
      output_format_json_quote_64bit_integers: 1,
      ...(isCompressed ? { enable_http_compression: 1 } : {}),
      ...(cluster === undefined ? {} : onCluster),
    }
    this.#insertSettings = {
      ...oneBlock,
      ...(cluster === undefined ? {} : onCluster),
      ...(insertQuorum === '0' ? {} : { insert_quorum: insertQuorum }),
    }
  }

  async insert(insert: WarehouseInsert): Promise<{ rowsWritten: number }> {
    const { table, format, columns, token, signal, compression = 'none' } = insert
    const parts: readonly Buffer[] = Buffer.isBuffer(insert.body) ? [insert.body] : insert.body
    if (parts.every((part) => part.length === 0)) return { rowsWritten: 0 }
    const packed = await packBody(parts, compression === 'none' ? this.#usualCoding : compression)
    const list = columns === undefined ? '' : ` (${columns.map(quoteIdentifier).join(', ')})`
    const name = table.split('.').map(quoteIdentifier).join('.')
    const path = pathOf({
      query: `INSERT INTO ${name}${list} FORMAT ${format}`,
      database: this.database,
      ...this.#insertSettings,
      ...insert.settings,
      ...(token === undefined ? {} : { insert_deduplication_token: token }),
    })
    const sending = { what: `insert into ${table}`, isRepeatable: token !== undefined, signal }
    const { headers } = await this.#drained(
      { path, headers: packed.headers, body: packed.body, signal },
      sending,
    )
    return { rowsWritten: rowsWrittenOf(headers['x-clickhouse-summary']) }
  }

  async query<Row extends object>(sql: string, options: WarehouseQuery = {}): Promise<Row[]> {
    const request = this.#requestOf(sql, options, { wait_end_of_query: 1, default_format: 'JSONEachRow' })
    const sending = { what: 'run a query', isRepeatable: true, signal: options.signal }
    const text = await this.#sent(request, sending, async ({ body }) => await textOf(body))
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  }

  async stream(sql: string, options: WarehouseQuery & { format: string }): Promise<Readable> {
    const { signal, format } = options
    const request = this.#requestOf(sql, options, { default_format: format })
    const sending = { what: 'run a query', isRepeatable: true, signal }
    const { headers, body } = await this.#sent(request, sending, async (answer) => answer)
    const tag = headers['x-clickhouse-exception-tag']
    return Readable.from(checked(body, { tag: Array.isArray(tag) ? tag[0] : tag, signal }), {
      objectMode: false,
    })
  }

  async command(sql: string, options: WarehouseQuery = {}): Promise<void> {
    const { cluster, database } = this
    const text = cluster === undefined ? sql : clusterCommand(sql, { cluster, database })
    await this.run(text, { ...options, what: 'run a statement' })
  }

  async run(sql: string, options: WarehouseQuery & { what: string; isRepeatable?: boolean }): Promise<void> {
    const request = this.#requestOf(sql, options, { wait_end_of_query: 1 })
    const { what, isRepeatable = false, signal } = options
    await this.#drained(request, { what, isRepeatable, signal })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#parts.transport[Symbol.asyncDispose]()
  }

  #requestOf(sql: string, options: WarehouseQuery, settings: Settings): HttpRequest {
    const { parameters = {}, signal, queryId, isReadOnly } = options
    const named = Object.entries(parameters).map(([name, value]) => [`param_${name}`, parameterText(value)])
    const path = pathOf({
      database: this.database,
      ...settings,
      ...this.#readSettings,
      ...options.settings,
      ...(isReadOnly === true ? { readonly: 1 } : {}),
      ...Object.fromEntries(named),
      ...(queryId === undefined ? {} : { query_id: queryId }),
    })
    const headers = this.#parts.config.isCompressed ? { 'Accept-Encoding': 'gzip' } : {}
    return { path, headers, body: [Buffer.from(sql)], signal }
  }

  #drained(request: HttpRequest, sending: Sending): Promise<HttpAnswer> {
    return this.#sent(request, sending, async (answer) => {
      for await (const _ of answer.body);
      return answer
    })
  }

  /** Sends to one host after the other until one has answered and `take` has taken the answer. */
  async #sent<T>(
    request: HttpRequest,
    { what, isRepeatable, signal }: Sending,
    take: (answer: HttpAnswer) => Promise<T>,
  ): Promise<T> {
    const { transport, hosts } = this.#parts
    let failed: unknown = new Error('The connections to ClickHouse have been closed')
    const queue = this.#isClosed ? [] : [...hosts.candidates()]
    let staleLeft = queue.length
    for (let host = queue.shift(); host !== undefined; host = queue.shift()) {
      signal?.throwIfAborted()
      try {
        const taken = await take(await transport.send(host, request))
        hosts.isWell(host)
        return taken
      } catch (error) {
        failed = error
        if (signal?.aborted === true || !isPassing(error)) break
        const mayRepeat = isRepeatable || isUnseen(error)
        // A connection that the host had closed while it was idle says nothing about the host.
        if (isStale(error) && mayRepeat && staleLeft-- > 0) queue.unshift(host)
        else if (isOfHost(error)) hosts.isSick(host)
        if (!mayRepeat) break
      }
    }
    throw warehouseError(failed, { what, signal })
  }
}

/** The query string of a request: settings, parameters and what the interface itself knows. */
function pathOf(values: Readonly<Record<string, string | number>>): string {
  const parts = Object.entries(values).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  )
  return `/?${parts.join('&')}`
}

async function textOf(body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function rowsWrittenOf(summary: string | string[] | undefined): number {
  if (typeof summary !== 'string') return 0
  const found = /"written_rows":"(\d+)"/.exec(summary)
  return Number(found?.[1] ?? 0)
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
