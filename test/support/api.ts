/**
 * The API on real engines behind the program's HTTP server: a database and a warehouse with every migration, an
 * embedded log, two projects, a key for everything and one for the second project alone. Every answer is
 * checked against the OpenAPI document.
 */

import assert from 'node:assert/strict'
import { z } from 'zod'
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { type ApiPorts, openApi } from '../../src/api/api.ts'
import { storeKey } from '../../src/api/auth/keys.ts'
import { type ApiConfig, apiConfigSchema } from '../../src/api/config.ts'
import { createProject, type Project } from '../../src/api/projects/projects.ts'
import { capturedTopics, topics } from '../../src/event/topics.ts'
import { httpConfigSchema } from '../../src/http/config.ts'
import { openHttpServer } from '../../src/http/http.ts'
import { jobsConfig } from '../../src/jobs/config.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import type { Warehouse } from '../../src/ports/warehouse.ts'
import { openTestDatabase } from './database.ts'
import { openTables } from './datasets.ts'
import { openTestLog } from './embedded-log.ts'
import { quietTelemetry } from './quiet.ts'

export const keys = { all: 'phx_all', scoped: 'phx_scoped' } as const
export const readyTopicNames = [topics.readyEvents, topics.readyPersons, topics.readyDistinctIds] as const

export type ApiAnswer = { status: number; text: string; body: unknown; headers: Headers }
export type ApiCall = {
  key?: string | null
  body?: unknown
  raw?: string | Buffer
  headers?: Record<string, string>
}

export type TestApi = AsyncDisposable & {
  url: string
  ports: ApiPorts
  config: ApiConfig
  document: Record<string, unknown>
  projects: readonly [Project, Project]
  call: (method: string, path: string, options?: ApiCall) => Promise<ApiAnswer>
  /** Rows of a query as project 1, or as another. */
  query: (sql: string, options?: { project?: number; values?: object; key?: string }) => Promise<ApiAnswer>
}

/** Stands where a test asks no warehouse: whoever does fails the test. */
const noWarehouse = new Proxy({} as Warehouse, {
  get(_target, name) {
    throw new Error(`this test has no warehouse, but ${String(name)} was asked for`)
  },
})

export async function openTestApi(
  options: { hasWarehouse?: boolean; ports?: Partial<ApiPorts>; settings?: Partial<ApiConfig> } = {},
): Promise<TestApi> {
  await using stack = new AsyncDisposableStack()
  const { database } = stack.use(await openTestDatabase())
  const warehouse = options.hasWarehouse === false ? noWarehouse : stack.use(await openTables()).warehouse
  const { log } = stack.use(await openTestLog())
  const names = [...capturedTopics, ...readyTopicNames, topics.drops, topics.ledger]
  await log.ensureTopics(names.map((name) => ({ name, partitions: 1, retentionMs: 3_600_000 })))
  const telemetry = quietTelemetry()
  const clock = createSystemClock()
  const ports = {
    database,
    warehouse,
    log,
    clock,
    random: createSystemRandom(),
    logger: telemetry.logger,
    jobs: createJobs(
      { databases: [database], clock, random: createSystemRandom(), metrics: telemetry.metrics },
      jobsConfig.parse({}),
    ),
    ...options.ports,
  }
  const config = apiConfigSchema.parse({ keyCacheMs: 0, ...options.settings })
  const projects = [
    await createProject(database, { name: 'first', apiToken: 'phc_first' }),
    await createProject(database, { name: 'second', apiToken: 'phc_second' }),
  ] as const
  await storeKey(database, { value: keys.all, label: 'all' })
  await storeKey(database, { value: keys.scoped, label: 'scoped', projects: [projects[1].id] })
  const api = stack.use(await openApi(ports, config, { version: '0.0.0' }))
  const server = stack.use(
    await openHttpServer(
      { clock, ...telemetry },
      { ...httpConfigSchema.parse({}), host: '127.0.0.1', port: 0, fallback: api.handle },
      [],
    ),
  )
  const { url } = server.address
  const call = createCall(url, api.document)
  const owned = stack.move()
  return {
    url,
    ports,
    config,
    document: api.document,
    projects,
    call,
    query: (sql, { project = 1, values, key = keys.all } = {}) =>
      call('POST', `/api/projects/${project}/query`, {
        key,
        body: { query: { kind: 'HogQLQuery', query: sql, ...(values === undefined ? {} : { values }) } },
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function createCall(url: string, document: Record<string, unknown>): TestApi['call'] {
  return async (method, path, { key = keys.all, body, raw, headers = {} } = {}) => {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(content === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: content }),
    })
    const text = await answer.text()
    const isJson = (answer.headers.get('content-type') ?? '').includes('json') && text !== ''
    const parsed: unknown = isJson ? JSON.parse(text) : undefined
    const found = { status: answer.status, text, body: parsed, headers: answer.headers }
    checkAgainst(document, { method, path, answer: found })
    return found
  }
}

type Operation = { responses: Record<string, { content?: Record<string, { schema: object }> }> }

/** Fails where the document describes the route and its answer differs. */
function checkAgainst(
  document: Record<string, unknown>,
  { method, path, answer }: { method: string; path: string; answer: ApiAnswer },
): void {
  const paths = document.paths as Record<string, Record<string, Operation>>
  const plain = path.split('?')[0] ?? ''
  const known = Object.keys(paths)
    .sort((left, right) => Number(left.includes('{')) - Number(right.includes('{')))
    .sort((left, right) => left.split('{').length - right.split('{').length)
    .find((template) => new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain))
  const operation = known === undefined ? undefined : paths[known]?.[method.toLowerCase()]
  if (operation === undefined || !plain.startsWith('/api/') || plain.startsWith('/api/feature_flag')) return
  const described = operation.responses[String(answer.status)]
  const schema = described?.content?.['application/json']?.schema
  if (described !== undefined && schema === undefined) assert.equal(answer.text, '')
  else if (schema !== undefined) validate(schema, answer.body, `${method} ${path}`)
  else {
    assert.ok(answer.status >= 400, `${method} ${path} answered ${answer.status}, which it does not promise`)
    const { schemas } = document.components as { schemas: { Problem: object } }
    validate(schemas.Problem, answer.body, `${method} ${path}`)
  }
}

function validate(schema: object, value: unknown, what: string): void {
  const checked = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value)
  assert.ok(checked.success, `${what}: ${checked.error === undefined ? '' : z.prettifyError(checked.error)}`)
}

/** Rows of a list's answer. */
export function resultsOf<Row = Record<string, unknown>>(answer: ApiAnswer): Row[] {
  assert.equal(answer.status, 200, answer.text)
  return (answer.body as { results: Row[] }).results
}

export async function insertRows(
  warehouse: Warehouse,
  table: string,
  rows: readonly object[],
): Promise<void> {
  const body = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  await warehouse.insert({ table, format: 'JSONEachRow', body })
}

/** A row of events; what is not given is made up. */
export function eventRow(given: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    uuid: crypto.randomUUID(),
    event: 'e',
    properties: '{}',
    timestamp: '2026-01-01 00:00:00.000000',
    team_id: 1,
    distinct_id: 'u',
    person_id: '00000000-0000-4000-8000-000000000001',
    person_properties: '{}',
    created_at: '2026-01-01 00:00:00.000000',
    captured_at: '2026-01-01 00:00:00.000000',
    ...given,
  }
}
