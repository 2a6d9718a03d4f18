/** The runner of `npm test` itself: what it counts, and that a file which hangs, breaks or tests nothing fails. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type FileResult, runTestFile } from '../scripts/run-test-file.ts'
import { tempDir } from './support/temp-dir.ts'

async function run(source: string, timeoutMs = 60_000): Promise<FileResult> {
  await using folder = await tempDir()
  const file = join(folder.path, 'made-up.test.mjs')
  await writeFile(file, `import { suite, test } from 'node:test'\n${source}`)
  const options = { timeoutMs, environment: { GIVEN: 'yes' }, signal: new AbortController().signal }
  return await runTestFile(file, options)
}

const counts = ({ passed, failed, skips }: FileResult) => [passed, failed, skips.length]

suite('a test file', { concurrency: true }, () => {
  test('its tests are counted, those in suites as well, and what they note is kept', async () => {
    const result = await run(`
      test('one', (context) => context.diagnostic('seed 7'))
      suite('more', () => { test('two', () => {}); test('three', () => {}) })
      test('four', () => { if (process.env.GIVEN !== 'yes') throw new Error('no environment') })`)
    assert.deepEqual(counts(result), [4, 0, 0])
    assert.deepEqual([result.notes, result.report], [['seed 7'], ''])
  })

  test('a skip carries its reason, of a test and of a whole suite', async () => {
    const result = await run(`
      test('one', () => {})
      test('two', { skip: 'no browser' }, () => {})
      suite('three', { skip: 'no engine' }, () => { test('four', () => {}) })`)
    assert.deepEqual(counts(result), [1, 0, 2])
    assert.deepEqual(
      result.skips.map(({ reason }) => reason),
      ['no browser', 'no engine'],
    )
  })

  test('a failure is counted and reported with what the file printed', async () => {
    const result = await run(`
      console.error('a hint')
      test('one', () => {})
      test('two', () => { throw new Error('this is wrong') })`)
    assert.deepEqual(counts(result), [1, 1, 0])
    assert.match(result.report, /a hint[\s\S]*this is wrong/)
  })

  test('a test that hangs is ended and named', async () => {
    const result = await run(
      `test('one', () => {})
      test('hangs for ever', async () => { setInterval(() => {}, 1000); await new Promise(() => {}) })`,
      6_000,
    )
    assert.deepEqual(counts(result), [1, 1, 0])
    assert.match(result.report, /no end within 6000 ms.*still running: hangs for ever/)
  })

  test('a file that leaves something open fails, though its tests passed', async () => {
    const result = await run(`test('one', () => { setInterval(() => {}, 1000) })`, 6_000)
    assert.deepEqual(counts(result), [1, 1, 0])
    assert.match(result.report, /something was left open/)
  })

  test('a file that breaks outside a test, and one without tests, fail', async () => {
    assert.equal((await run('throw new Error("broken")')).failed, 1)
    const empty = await run('')
    assert.deepEqual([empty.failed, empty.report], [1, 'The file has no tests.'])
  })
})
