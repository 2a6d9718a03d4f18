import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { tempDir } from '../../../../../test/support/temp-dir.ts'

const run = promisify(execFile)

/** An engine is opened once in a process: each step has one of its own. Answers what the step's last line prints. */
async function inEngine(directory: string, step: string): Promise<unknown> {
  const script = `
    const { openEngine } = await import(${JSON.stringify(new URL('../engine.ts', import.meta.url).href)})
    const { describeBrokenParts, forgetLostInserts } = await import(${JSON.stringify(new URL('./lost-inserts.ts', import.meta.url).href)})
    const engine = openEngine({ directory: ${JSON.stringify(directory)}, connectionArgs: [] })
    const connection = engine.connect()
    const ask = async (sql) => Buffer.from((await connection.read(sql)).bytes).toString().trim()
    const insert = (token, value) => ask(\`INSERT INTO things SETTINGS insert_deduplication_token = '\${token}' SELECT \${value}\`)
    ${step}
    await connection[Symbol.asyncDispose]()
    await engine[Symbol.asyncDispose]()`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
  return JSON.parse(stdout)
}

async function find(directory: string, name: string): Promise<string> {
  const names = await readdir(directory, { recursive: true })
  const found = names.find((each) => each.endsWith(name))
  assert.ok(found !== undefined, `${name} is there`)
  return join(directory, found)
}

test('an insert whose part is broken is taken when it comes again, and no other one', async () => {
  await using dir = await tempDir()
  await inEngine(
    dir.path,
    `await ask('CREATE TABLE things (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 10')
     await ask('SYSTEM STOP MERGES')
     for (const value of [1, 2, 3]) await insert('token-' + value, value)
     console.log(JSON.stringify(await forgetLostInserts(connection)))`,
  )
  await truncate(join(await find(dir.path, 'all_2_2_0'), 'checksums.txt'))
  // The disk was full while the next insert was written down.
  await appendFile(await find(dir.path, 'deduplication_log_1.txt'), '1\tall_4_4_0\tall_12')
  const outcome = await inEngine(
    dir.path,
    `const before = await ask('SELECT groupArray(id) FROM (SELECT id FROM things ORDER BY id)')
     const said = await describeBrokenParts(connection)
     const forgotten = [await forgetLostInserts(connection), await forgetLostInserts(connection)]
     for (const value of [1, 2, 3, 4, 2, 4]) await insert('token-' + value, value)
     const after = await ask('SELECT groupArray(id) FROM (SELECT id FROM things ORDER BY id)')
     console.log(JSON.stringify({ before, said: said.length, forgotten, after }))`,
  )
  assert.deepEqual(outcome, { before: '[1,3]', said: 1, forgotten: [2, 0], after: '[1,2,3,4]' })
  const again = await inEngine(
    dir.path,
    `const forgotten = await forgetLostInserts(connection)
     for (const value of [1, 2, 3, 4]) await insert('token-' + value, value)
     console.log(JSON.stringify({ forgotten, after: await ask('SELECT groupArray(id) FROM (SELECT id FROM things ORDER BY id)') }))`,
  )
  assert.deepEqual(again, { forgotten: 0, after: '[1,2,3,4]' })
})
