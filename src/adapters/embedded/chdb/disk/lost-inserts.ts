/**
 * What a start makes good after writes that failed. An INSERT whose part was broken, or never came to be, was not
 * acknowledged and is sent again; but its deduplication token may stand in the table's log already, and then the
 * engine would take the second for a duplicate of the first. So tokens whose part is not there are made unknown.
 *
 * The engine's log is text: operation, part and token in each line, and `1` is the operation that adds. One byte of
 * the token is changed in place, because a full disk has no room for a new file. A line without an end is cut off,
 * since the engine would write the next one behind it.
 */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Connection, quoteIdentifier, quoteString } from '../engine.ts'

/** `!`, as no token begins: the engine puts the name of the partition first. */
const forgotten = 0x21
const tablesSql = `SELECT database, name, data_paths[1] FROM system.tables
  WHERE engine LIKE '%MergeTree' AND notEmpty(data_paths) AND database NOT IN ('system', 'information_schema')`
const tablesSchema = z.array(z.tuple([z.string(), z.string(), z.string()]))
const partsSchema = z.array(z.tuple([z.string(), z.coerce.number(), z.coerce.number()]))
const brokenSchema = z.array(z.tuple([z.string(), z.string(), z.string()]))

type Part = { partition: string; from: number; until: number }

/** Forgets the tokens of lost inserts in all tables. Answers how many those were. */
export async function forgetLostInserts(connection: Connection): Promise<number> {
  let count = 0
  for (const [database, name, path] of tablesSchema.parse(await rowsOf(connection, tablesSql))) {
    const logs = await logsOf(path)
    if (logs.length === 0) continue
    const table = `${quoteIdentifier(database)}.${quoteIdentifier(name)}`
    const parts = partsSchema.parse(
      await rowsOf(
        connection,
        `SELECT partition_id, min_block_number, max_block_number FROM system.parts
         WHERE active AND database = ${quoteString(database)} AND table = ${quoteString(name)}`,
      ),
    )
    const there = parts.map(([partition, from, until]) => ({ partition, from, until }))
    let inTable = 0
    for (const log of logs) inTable += await forgetIn(log, there)
    // The engine reads its log when the table is attached.
    if (inTable > 0) {
      await connection.read(`DETACH TABLE ${table}`)
      await connection.read(`ATTACH TABLE ${table}`)
    }
    count += inTable
  }
  return count
}

/** Lines about the parts that could not be loaded. */
export async function describeBrokenParts(connection: Connection): Promise<string[]> {
  const rows = await rowsOf(
    connection,
    `SELECT database, table, name FROM system.detached_parts WHERE reason = 'broken-on-start'`,
  )
  return brokenSchema
    .parse(rows)
    .map(
      ([database, table, name]) =>
        `a broken part of ${database}.${table} is set aside as detached/${name}; if it was merged from others, these` +
        ' are back where they were still there: "rowmill audit" says whether rows are missing',
    )
}

async function logsOf(tablePath: string): Promise<string[]> {
  const folder = join(tablePath, 'deduplication_logs')
  try {
    const names = await readdir(folder)
    return names.filter((name) => name.endsWith('.txt')).map((name) => join(folder, name))
  } catch (error) {
    // A table without a window has no logs.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** Answers how many lines were changed or, without an end, cut off. */
async function forgetIn(path: string, there: readonly Part[]): Promise<number> {
  await using file = await open(path, 'r+')
  const bytes = await file.readFile()
  let count = 0
  let start = 0
  for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
    const line = bytes.toString('latin1', start, end)
    const found = /^1\t([^\t_]+)_(\d+)_\d+_\d+\t[^!\t]/.exec(line)
    const [, partition, block] = found ?? []
    const isThere = there.some(
      (part) => part.partition === partition && part.from <= Number(block) && Number(block) <= part.until,
    )
    if (found !== null && !isThere) {
      await file.write(Buffer.of(forgotten), 0, 1, start + line.lastIndexOf('\t') + 1)
      count++
    }
    start = end + 1
  }
  if (start < bytes.length) {
    await file.truncate(start)
    count++
  }
  if (count > 0) await file.datasync()
  return count
}

async function rowsOf(connection: Connection, sql: string): Promise<unknown> {
  const { bytes } = await connection.read(sql, 'JSONCompact')
  const { data }: { data: unknown } = JSON.parse(Buffer.from(bytes).toString())
  return data
}
