import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startRowmill } from '../support/rowmill.ts'
import { tempDir } from '../support/temp-dir.ts'
import { rowmill, untilRow, writeVisits } from '../support/visits.ts'
import { waitFor } from '../support/wait-for.ts'

test('messages that a processor failed on are set aside with the reason, and become rows once it is mended', async () => {
  await using folder = await tempDir()
  await using data = await tempDir()
  await writeVisits(folder.path)
  const options = {
    dataDir: data.path,
    settings: {
      'consumer.storages': '["visits"]',
      'consumer.storageFolders': JSON.stringify([folder.path]),
      'consumer.deadLetters.pollIntervalMs': '200',
    },
  }
  const letters = async () => {
    const { out } = await rowmill(data.path, ['dlq', 'list', '--storage', join(folder.path, 'visits.yaml')])
    return JSON.parse(out) as { reason: string; error: string; place: string }[]
  }
  {
    await using program = await startRowmill(options)
    const records = [
      { text: '{"id":1,"path":"/"}' },
      { text: '{"id":"2","path":"/"}' },
      { text: 'no json' },
      { value: { id: 3 } },
    ]
    assert.equal((await program.api('POST', '/api/topics/visits/records', { records })).status, 201)
    await untilRow(data.path, 'select count() from visits_local', [2])
    const found = await waitFor(async () => (await letters()).length === 2 && letters(), { withinMs: 20_000 })
    assert.deepEqual(
      found.map(({ reason }) => reason),
      ['processor_failed', 'processor_failed'],
    )
    assert.equal(found[0]?.error, 'no id')
  }

  const module = join(folder.path, 'visits.mjs')
  const mended = (await readFile(module, 'utf8')).replace(
    "typeof id !== 'number'",
    'Number.isNaN(Number(id))',
  )
  await writeFile(module, mended)
  await using program = await startRowmill(options)
  const [text] = await letters()
  const asked = await rowmill(data.path, ['dlq', 'replay', text?.place ?? ''])
  assert.equal(asked.code, 0, asked.err)
  await untilRow(data.path, 'select count(), max(id) from visits_local', [3, 3])
  await untilRow(data.path, 'select count() from visits_local where id = 2', [1])
  const [left, ...others] = await letters()
  assert.deepEqual([others.length, left?.error.includes('JSON')], [0, true])
  const again = await rowmill(data.path, ['dlq', 'replay', text?.place ?? ''])
  assert.equal(JSON.parse(again.out).handled, 0)
  assert.ok(program.url)
})
