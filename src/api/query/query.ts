/**
 * `POST /api/projects/:id/query`: the user's SQL in ClickHouse's dialect, read-only, inside one project,
 * streamed row by row. The answer is PostHog's: columns, types and results.
 */

import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { isRowmillError, type RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { ApiConfig } from '../config.ts'
import { Problem, problemOf } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { readTableColumns, type TableColumns, tableFilters } from './isolation.ts'

const querySchema = z.strictObject({
  query: z.strictObject({
    kind: z.literal('HogQLQuery').meta({ description: "PostHog's name for a query in SQL." }),
    query: z
      .string()
      .min(1)
      .max(1_000_000)
      .meta({ description: 'ClickHouse SQL. Values go as {name:Type} with "values".' }),
    values: z.record(z.string().regex(/^\w{1,64}$/), z.unknown()).optional(),
  }),
  client_query_id: z.string().max(200).nullable().optional(),
  refresh: z.unknown().optional(),
})

const answerSchema = z.strictObject({
  columns: z.array(z.string()),
  types: z
    .array(z.tuple([z.string(), z.string()]))
    .meta({ description: 'Each column with its ClickHouse type.' }),
  results: z.array(z.array(z.unknown())),
  error: z
    .unknown()
    .optional()
    .meta({ description: 'Only when the query failed after its first rows were sent.' }),
})

type QueryPorts = { warehouse: Warehouse; clock: Clock }
type QueryConfig = Pick<ApiConfig, 'queriesMax' | 'queryMemoryBytesMax' | 'queryTimeMaxMs'>

export function createQueryRoutes(ports: QueryPorts, config: QueryConfig): ApiRoute[] {
  let running = 0
  let tables: Promise<TableColumns> | undefined
  const readTables = (): Promise<TableColumns> => {
    tables ??= readTableColumns(ports.warehouse).catch((error: unknown) => {
      tables = undefined
      throw error
    })
    return tables
  }
  return [
    defineRoute({
      method: 'POST',
      path: '/api/projects/:project_id/query',
      summary: "Ask the project's rows with SQL",
      tag: 'query',
      body: querySchema,
      answers: { 200: answerSchema },
      async run({ project, body, signal }) {
        if (running >= config.queriesMax) throw tooMany(config.queriesMax)
        running += 1
        const release = once(() => {
          running -= 1
        })
        try {
          const { query, values } = body.query
          const stream = await ports.warehouse.stream(query, {
            format: 'JSONCompactEachRowWithNamesAndTypes',
            parameters: values ?? {},
            isReadOnly: true,
            signal,
            settings: {
              additional_table_filters: tableFilters(ports.warehouse.database, await readTables(), project),
              max_execution_time: config.queryTimeMaxMs / 1000,
              max_memory_usage: config.queryMemoryBytesMax,
              output_format_json_quote_64bit_integers: 0,
              output_format_json_quote_denormals: 1,
            },
          })
          const answer = await openAnswer(stream)
          answer.once('close', release)
          return { stream: answer, contentType: 'application/json; charset=utf-8' }
        } catch (error) {
          release()
          throw isRowmillError(error) ? queryProblem(error) : error
        }
      },
    }),
  ]
}

/** Waits for the head of the answer, so that a query that fails at once is answered with a status of its own. */
async function openAnswer(stream: Readable): Promise<Readable> {
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  const failed = new Promise<never>((_, reject) => stream.once('error', reject))
  failed.catch(() => lines.close())
  const iterator = lines[Symbol.asyncIterator]()
  const names = await Promise.race([iterator.next(), failed])
  const types = await Promise.race([iterator.next(), failed])
  const columns = names.done === true ? [] : (JSON.parse(names.value) as string[])
  const columnTypes = types.done === true ? [] : (JSON.parse(types.value) as string[])
  const pairs = columns.map((name, index) => [name, columnTypes[index] ?? ''])
  const head = `{"columns":${JSON.stringify(columns)},"types":${JSON.stringify(pairs)},"results":[`
  return Readable.from(answerParts(head, iterator, failed), { objectMode: false }).once('close', () =>
    stream.destroy(),
  )
}

async function* answerParts(
  head: string,
  rows: AsyncIterator<string>,
  failed: Promise<never>,
): AsyncGenerator<string> {
  yield head
  let isFirst = true
  let pending = ''
  try {
    for (;;) {
      const row = await Promise.race([rows.next(), failed])
      if (row.done === true) break
      if (row.value === '') continue
      pending += isFirst ? row.value : `,\n${row.value}`
      isFirst = false
      if (pending.length < 65_536) continue
      yield pending
      pending = ''
    }
    yield `${pending}]}\n`
  } catch (error) {
    const problem = isRowmillError(error)
      ? queryProblem(error).body
      : { type: 'server_error', code: 'stream_broken', detail: 'The answer broke off.' }
    yield `${pending}],"error":${JSON.stringify(problem)}}\n`
  }
}

/** The warehouse's refusal in words for the person who wrote the query, with the position where there is one. */
export function queryProblem(error: RowmillError): Problem {
  if (error.code !== 'WAREHOUSE_REFUSED') return problemOf(error.code, error.message)
  const position = /\(line (\d+), col (\d+)\)/.exec(error.message)
  const offset = /failed at position (\d+)/.exec(error.message)
  return new Problem(400, {
    type: 'validation_error',
    code: 'invalid_query',
    detail: error.message,
    attr: 'query',
    clickhouse_code: error.details.code ?? null,
    clickhouse_name: error.details.name ?? null,
    position:
      position === null
        ? null
        : {
            offset: offset === null ? null : Number(offset[1]) - 1,
            line: Number(position[1]),
            column: Number(position[2]),
          },
  })
}

function tooMany(queriesMax: number): Problem {
  return new Problem(429, {
    type: 'throttled_error',
    code: 'throttled',
    detail: `${queriesMax} queries are running, which is the limit (api.queriesMax). Try again in a moment.`,
  })
}

function once(run: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    run()
  }
}
