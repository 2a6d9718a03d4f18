/**
 * `POST /api/projects/:id/query`: the user's SQL in ClickHouse's dialect, read-only, inside one project,
 * streamed row by row. The answer is PostHog's: columns, types and results.
 */
import { z } from 'zod'
import { isRowmillError, type RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { ApiConfig } from '../config.ts'
import { Problem, problemOf } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'
import { openAnswer } from './answer.ts'
import { guardQuery } from './guard.ts'
import { createNameReader, filterFirst, tableFilters } from './isolation.ts'

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

const querySchema = z.strictObject({
  query: z.strictObject({
    kind: z.literal('HogQLQuery').meta({ description: "PostHog's name for a query in SQL." }),
    query: plainText(1_000_000, 1).meta({
      description: 'ClickHouse SQL. Values go as {name:Type} with "values".',
    }),
    values: z
      .record(z.string().regex(/^\w{1,64}$/), z.union([scalar, z.array(scalar).max(10_000)]))
      .optional(),
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
  const readNames = createNameReader(ports)
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
          const names = await readNames()
          guardQuery(query, names)
          const stream = await ports.warehouse.stream(query, {
            format: 'JSONCompactEachRowWithNamesAndTypes',
            parameters: values ?? {},
            isReadOnly: true,
            signal,
            settings: {
              ...filterFirst,
              additional_table_filters: tableFilters(ports.warehouse.database, names.tables, project),
              max_execution_time: config.queryTimeMaxMs / 1000,
              max_memory_usage: config.queryMemoryBytesMax,
              output_format_json_quote_64bit_integers: 0,
              output_format_json_quote_denormals: 1,
            },
          })
          const answer = await openAnswer(stream, (error) =>
            isRowmillError(error) ? queryProblem(error).body : serverError,
          )
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

const serverError = {
  type: 'server_error',
  code: 'error',
  detail: 'A server error occurred; the log says more.',
  attr: null,
} as const

/** Codes of ClickHouse for limits of one query: the query has to change, not the server. */
const limits: Readonly<Record<number, { code: string; setting: string }>> = {
  159: { code: 'query_too_slow', setting: 'api.queryTimeMaxMs' },
  160: { code: 'query_too_slow', setting: 'api.queryTimeMaxMs' },
  241: { code: 'query_too_large', setting: 'api.queryMemoryBytesMax' },
}

/** The warehouse's refusal in words for the person who wrote the query, with the position where there is one. */
export function queryProblem(error: RowmillError): Problem {
  const limit = limits[Number(error.details.code)]
  if (limit !== undefined)
    return new Problem(400, {
      type: 'validation_error',
      code: limit.code,
      detail: `The query needs more than ${limit.setting} allows. Read fewer rows or columns.`,
      attr: 'query',
      clickhouse_code: error.details.code,
      clickhouse_name: error.details.name ?? null,
      position: null,
    })
  if (error.code !== 'WAREHOUSE_REFUSED') return problemOf(error.code)
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
