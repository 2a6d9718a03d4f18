/** The whole program in this process, on a folder and a port of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { configSchema } from '../../src/platform/config/config.ts'
import { loadConfig } from '../../src/platform/config/load.ts'
import { serve } from '../../src/platform/serve.ts'
import { tempDir } from './temp-dir.ts'

export type TestRowmill = AsyncDisposable & {
  url: string
  token: string
  apiKey: string
  dataDir: string
  /** Rows of a query through the API, as project 1. */
  query: <Row extends unknown[] = unknown[]>(sql: string) => Promise<Row[]>
  /** Asks until the rows are as wanted, at most `withinMs`. */
  until: <Row extends unknown[] = unknown[]>(
    sql: string,
    isWanted: (rows: Row[]) => boolean,
    withinMs?: number,
  ) => Promise<Row[]>
  /** One request to the API, with the key. */
  api: (method: string, path: string, body?: unknown) => Promise<{ status: number; body: unknown }>
  stop: () => Promise<void>
}

export type TestSettings = Readonly<Record<string, string>>

/** Starts on `dataDir`, or on a temporary folder that goes away with it. */
export async function startRowmill(
  options: { dataDir?: string; settings?: TestSettings } = {},
): Promise<TestRowmill> {
  await using stack = new AsyncDisposableStack()
  const dataDir = options.dataDir ?? stack.use(await tempDir()).path
  const token = 'phc_test'
  const apiKey = 'phx_test'
  const { config } = loadConfig(configSchema, {
    environment: { ROWMILL_PROJECT_TOKEN: token, ROWMILL_API_KEY: apiKey },
    flags: { dataDir, port: '0', logLevel: 'error', ...options.settings },
  })
  const stop = new AbortController()
  const ready = Promise.withResolvers<{ url: string }>()
  const running = serve(config, { signal: stop.signal, onReady: ready.resolve })
  running.catch(ready.reject)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  stack.defer(end)
  const { url } = await ready.promise
  const owned = stack.move()
  const api = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) }
  }
  const query = async <Row extends unknown[]>(sql: string): Promise<Row[]> => {
    const { status, body } = await api('POST', '/api/projects/1/query', {
      query: { kind: 'HogQLQuery', query: sql },
    })
    if (status !== 200) throw new Error(`${sql}: ${JSON.stringify(body)}`)
    return (body as { results: Row[] }).results
  }
  const until = async <Row extends unknown[]>(
    sql: string,
    isWanted: (rows: Row[]) => boolean,
    withinMs = 20_000,
  ): Promise<Row[]> => {
    const deadline = performance.now() + withinMs
    for (;;) {
      const rows = await query<Row>(sql)
      if (isWanted(rows)) return rows
      if (performance.now() > deadline)
        throw new Error(`${sql} never became as wanted; it is ${JSON.stringify(rows).slice(0, 2000)}`)
      await sleep(50)
    }
  }
  return {
    url,
    token,
    apiKey,
    dataDir,
    query,
    until,
    api,
    stop: end,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
