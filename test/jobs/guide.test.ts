/** The program in the guide runs as it stands. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTestDatabase } from '../support/database.ts'
import { tempDir } from '../support/temp-dir.ts'

const guide = new URL('../../docs/guides/jobs.md', import.meta.url)
const library = new URL('../../src/platform/jobs/open-jobs.ts', import.meta.url)

test("the guide's program creates, retries and runs its jobs", async () => {
  await using database = await openTestDatabase({ isMigrated: false })
  await using dir = await tempDir('rowmill-jobs-guide-')
  const text = /^```ts\n([\s\S]*?)^```$/m.exec(readFileSync(guide, 'utf8'))?.[1] ?? ''
  const program = join(dir.path, 'letters.mts')
  writeFileSync(program, text.replace("'rowmill/jobs'", `'${library.href}'`))
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env.PATH, DATABASE_URL: database.connectionString },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  assert.equal(code, 0, err)
  assert.deepEqual(out.trim().split('\n').sort(), [
    'Dear everybody, attempt 1',
    'Dear nobody, attempt 1',
    'Dear nobody, attempt 2',
    'Dear you, attempt 1',
  ])
})
