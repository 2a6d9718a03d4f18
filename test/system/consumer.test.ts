import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRunFile } from '../../src/platform/run-file.ts'
import { startRowmill } from '../support/rowmill.ts'
import { tempDir } from '../support/temp-dir.ts'
import { rowmill, untilRow, visitLines, writeVisits } from '../support/visits.ts'
import { waitFor } from '../support/wait-for.ts'

const numbers = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, index) => ({ id: from + index, path: `/p${index % 7}` }))

test('serve fills storages of consumer.storages beside its own, fed over the API, and the audit balances', async () => {
  await using folder = await tempDir()
  await writeVisits(folder.path)
  await using program = await startRowmill({
    settings: { 'consumer.storages': '["visits"]', 'consumer.storageFolders': JSON.stringify([folder.path]) },
  })
  const post = (topic: string, records: unknown[]) =>
    program.api('POST', `/api/topics/${topic}/records`, { records })
  const records = numbers(0, 300).map((value) => ({ value, key: String(value.id) }))
  assert.equal((await post('visits', records)).status, 201)
  const text = { text: '{"id":9000000,"path":"exact"}' }
  const base64 = { value_base64: Buffer.from('{"path":"/skip"}').toString('base64') }
  const more = await post('visits', [text, base64, { value: { id: 'none' } }])
  assert.deepEqual(more.body, { positions: [300, 301, 302].map((offset) => ({ partition: 0, offset })) })
  const asked = (sql: string, row: unknown[]) => untilRow(program.dataDir, sql, row)
  await asked('select count(), max(id) from visits_local', [301, 9_000_000])
  assert.equal((await post('nowhere', records)).status, 404)
  assert.equal((await post('rowmill_ledger', records)).status, 400)
  assert.equal((await post('visits', [{ value: 1, text: '1' }])).status, 400)
  assert.equal((await post('visits', [{ value: 1, partition: 9 }])).status, 400)

  await asked("select stage, reason from drops where topic = 'visits'", [
    'datasets-visits',
    'processor_failed',
  ])
  const sums = "select sum(in), sum(dropped), sum(dead_lettered) from ledger where stage = 'datasets-visits'"
  await asked(sums, [303, 1, 1])
  const refused = await rowmill(program.dataDir, ['consumer', '--storage', 'events'])
  assert.equal(refused.code, 1)
  assert.match(refused.err, /LOG_LOCKED: Rowmill runs on .* set consumer\.storages to \["events"\] there/)
  const dry = ['consumer', '--storage', 'visits', '--storage-folder', folder.path, '--consumer-group', 'dry']
  const tried = await rowmill(program.dataDir, [...dry, '--dry-run-ms', '1', '--exit-when-done'])
  assert.deepEqual(JSON.parse(tried.out), [{ storage: 'visits', rows: 301, skipped: 1, deadLetters: 1 }])
  const fed = join(folder.path, 'more.ndjson')
  await writeFile(fed, visitLines(numbers(1000, 1100)))
  assert.equal((await rowmill(program.dataDir, ['produce', 'visits', fed])).code, 0)
  await asked('select count() from visits_local', [401])
  const groups = await rowmill(program.dataDir, ['offsets', '--topic', 'visits'])
  const [group, ...others] = JSON.parse(groups.out)
  assert.deepEqual([group.group, group.position, others], ['datasets-visits', 403, []])
  const audit = await rowmill(program.dataDir, ['audit', '--wait', '20'])
  assert.equal(audit.code, 0, audit.out)
})

test('a consumer alone: fed by a file, ended when done, stopped by its limit, set back, started anew', async () => {
  await using folder = await tempDir()
  await using data = await tempDir()
  await writeVisits(folder.path)
  const file = join(folder.path, 'visits.ndjson')
  const produce = async (lines: string) => {
    await writeFile(file, lines)
    return await rowmill(data.path, ['produce', 'visits', file])
  }
  const consume = (...more: string[]) =>
    rowmill(data.path, [
      ...['consumer', '--storage', 'visits', '--storage-folder', folder.path],
      ...['--port', '0', '--exit-when-done', ...more],
    ])
  const position = async () =>
    JSON.parse((await rowmill(data.path, ['offsets', '--group', 'datasets-visits'])).out)[0]?.position

  assert.deepEqual(JSON.parse((await produce(visitLines(numbers(0, 1200)))).out), {
    topic: 'visits',
    records: 1200,
  })
  const missing = await consume('--dry-run', '--raw-events-topic', 'nowhere')
  assert.match(missing.err, /TOPIC_UNKNOWN: The topic nowhere .* a dry run creates none/)
  const early = await consume('--auto-offset-reset', 'error')
  assert.match(
    early.err,
    /OFFSET_OUT_OF_RANGE: .*rowmill offsets reset --group datasets-visits --topic visits --to earliest/,
  )
  assert.equal(early.code, 1)
  const health = join(folder.path, 'health')
  assert.equal((await consume('--health-check-file', health)).code, 0)
  assert.equal(await position(), 1200)

  await produce(visitLines([{ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' }]))
  const stopped = await consume()
  assert.equal(stopped.code, 1)
  assert.match(
    stopped.err,
    /DEAD_LETTER_LIMIT: The storage visits stopped at visits\/0: 4 messages in a row failed/,
  )
  assert.equal(await position(), 1200)

  const reset = await rowmill(data.path, [
    ...['offsets', 'reset', '--group', 'datasets-visits', '--topic', 'visits', '--to', '1204'],
  ])
  assert.deepEqual([reset.code, JSON.parse(reset.out)[0].position], [0, 1204])
  await produce(visitLines(numbers(5000, 5010)))
  assert.equal((await consume()).code, 0)
  assert.equal(await position(), 1214)

  const stop = new AbortController()
  const words = ['consumer', '--storage', 'visits', '--storage-folder', folder.path, '--port', '0']
  const running = rowmill(data.path, words, stop.signal)
  await waitFor(() => readRunFile(data.path) !== undefined, { withinMs: 30_000 })
  assert.equal((await produce(visitLines(numbers(6000, 6005)))).code, 0)
  await untilRow(data.path, 'select count() from visits_local', [1215])
  const inUse = await rowmill(data.path, [
    ...['offsets', 'reset', '--group', 'datasets-visits', '--topic', 'visits', '--to', 'earliest'],
  ])
  assert.match(inUse.err, /LOG_LOCKED: Rowmill runs on .*; stop it first/)
  stop.abort()
  assert.equal((await running).code, 0)
})
