/**
 * What a running Rowmill tells the other commands on its machine: where its engines listen. The file lies in
 * the data folder, readable by its owner alone, and is removed at a clean stop; after a kill it is stale, and
 * is recognised by its process being gone.
 */
import { readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

const runFileSchema = z.strictObject({
  pid: z.number().int(),
  url: z.string(),
  /** Absent where none of its roles has one. */
  databaseUrl: z.string().optional(),
  warehouse: z
    .strictObject({ url: z.string(), user: z.string(), password: z.string(), database: z.string() })
    .optional(),
})

export type RunFile = z.output<typeof runFileSchema>

export async function writeRunFile(dataDir: string, content: RunFile): Promise<AsyncDisposable> {
  const path = join(dataDir, 'run.json')
  await writeFile(`${path}.new`, JSON.stringify(content), { mode: 0o600 })
  await rename(`${path}.new`, path)
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) }
}

/** The running program of this data folder, if there is one. */
export function readRunFile(dataDir: string): RunFile | undefined {
  try {
    const content = runFileSchema.parse(JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')))
    return isAlive(content.pid) ? content : undefined
  } catch {
    // No file, or one that was cut off by a crash: nothing is running that could be joined.
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
