/** A storage of visits with a processor of its own, as files in a folder; and the command line in this process. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCli } from '../../src/cli/cli.ts'
import { readRunFile } from '../../src/platform/run-file.ts'
import { waitFor } from './wait-for.ts'

const processor = `export function createProcessor() {
  return {
    process({ value }, output) {
      const { id, path } = JSON.parse(value.toString())
      if (path === '/skip') return output.skip('a test')
      if (typeof id !== 'number') throw new Error('no id')
      output.row({ id, path })
    },
  }
}
`

const yaml = `version: v1
kind: storage
name: visits
set: tests
description: Visits of pages.
stream:
  topic: visits
  dlq_topic: visits-dead
  commit_log_topic: visits-commits
processor: { module: ./visits.mjs }
tables:
  - name: visits_local
    columns:
      - { name: id, type: UInt64 }
      - { name: path, type: String }
    engine: { kind: MergeTree }
    order_by: [id]
writer:
  batch: { rows_max: 500, bytes_max: 1000000, wait_ms: 20 }
  compression: zstd
dead_letters: { consecutive_max: 3 }
`

/** Writes the storage and its processor. */
export async function writeVisits(folder: string): Promise<void> {
  await writeFile(join(folder, 'visits.mjs'), processor)
  await writeFile(join(folder, 'visits.yaml'), yaml)
}

export type Visit = { id?: number | string; path?: string }

export function visitLines(visits: readonly Visit[]): string {
  return visits.map((visit) => `${JSON.stringify(visit)}\n`).join('')
}

export async function rowmill(
  dataDir: string,
  words: readonly string[],
  signal = new AbortController().signal,
): Promise<{ code: number; out: string; err: string }> {
  const printed = { out: '', err: '' }
  const code = await runCli({
    arguments: [...words, '--data-dir', dataDir],
    environment: { ROWMILL_PORT: '0', ROWMILL_LOG_LEVEL: 'silent' },
    signal,
    terminal: {
      out(text) {
        printed.out += text
      },
      err(text) {
        printed.err += text
      },
      isInteractive: false,
      hasColour: false,
      columns: 100,
    },
  })
  return { code, ...printed }
}

/** Rows of a query to the warehouse of the program that runs on the folder, as whoever owns the folder may ask. */
export async function askWarehouse(dataDir: string, sql: string): Promise<unknown[][]> {
  const running = readRunFile(dataDir)
  if (running?.warehouse === undefined) throw new Error(`Nothing runs on ${dataDir}.`)
  const { url, user, password, database } = running.warehouse
  const answer = await fetch(`${url}/?${new URLSearchParams({ database, default_format: 'JSONCompact' })}`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': password },
    body: sql,
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  const { data }: { data: unknown[][] } = JSON.parse(text)
  return data
}

/** Asks until the first row is as wanted. */
export async function untilRow(dataDir: string, sql: string, wanted: unknown[]): Promise<void> {
  let last: unknown
  await waitFor(
    async () => {
      last = (await askWarehouse(dataDir, sql))[0]
      return JSON.stringify(last) === JSON.stringify(wanted)
    },
    { withinMs: 20_000 },
  ).catch((cause: unknown) => {
    throw new Error(`${sql} answers ${JSON.stringify(last)}, not ${JSON.stringify(wanted)}`, { cause })
  })
}
