/** From an empty folder to a processor that is tested and proved, by the commands alone. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { quietTelemetry } from '../../../../test/support/quiet.ts'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { createSystemClock } from '../../../adapters/embedded/clock.ts'
import { createMessage } from '../../../datasets/processor/run-message.ts'
import { readStorage } from '../../../datasets/storage/read-storage.ts'
import { chooseProcessor } from '../../../datasets/user/choose-processor.ts'
import { processorConfig } from '../../../datasets/user/config.ts'
import { openWorkerPool } from '../../../datasets/user/worker-pool.ts'
import { runCli } from '../../cli.ts'

/** The runner of this test must not be taken for that of the tests of a folder. */
async function testFolder(path: string) {
  const { NODE_TEST_CONTEXT: runner } = process.env
  delete process.env.NODE_TEST_CONTEXT
  try {
    return await run(['processor', 'test', path])
  } finally {
    if (runner !== undefined) process.env.NODE_TEST_CONTEXT = runner
  }
}

async function run(args: readonly string[], isInteractive = true) {
  let out = ''
  let err = ''
  const code = await runCli({
    arguments: args,
    environment: {},
    signal: new AbortController().signal,
    terminal: {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      isInteractive,
      hasColour: false,
      columns: 200,
    },
  })
  return { code, out, err }
}

suite('processor new', () => {
  test('writes a storage that is right, whose processor passes its test and makes its row', async () => {
    await using folder = await tempDir()
    const path = join(folder.path, 'my-visits')
    const { code, out } = await run(['processor', 'new', 'my-visits', path])
    assert.equal(code, 0)
    assert.match(out, /my-visits\.yaml\n/)

    const tested = await testFolder(path)
    assert.equal(tested.code, 0)
    assert.match(tested.out, /pass 2\b/)

    const storage = await readStorage(join(path, 'my-visits.yaml'))
    assert.equal((await readFile(join(path, 'README.md'), 'utf8')).trim().split('\n').length <= 12, true)
    await using pool = await openWorkerPool({
      source: chooseProcessor(storage),
      context: {
        storage: storage.name,
        format: storage.writer.format,
        retention: storage.retention,
        options: storage.processor.options,
      },
      tables: 1,
      threadsMax: 1,
      config: processorConfig.parse({}),
      clock: createSystemClock(),
      logger: quietTelemetry().logger,
      live: () => ({}),
      count: () => undefined,
    })
    const value = await readFile(join(path, 'payloads/visit.json'))
    const { rows } = await pool.run([createMessage({ value })], { signal: new AbortController().signal })
    assert.deepEqual(
      Object.keys(JSON.parse(rows[0]?.slice(0, 1).toString() ?? '')),
      storage.tables[0]?.columns.map(({ name }) => name),
    )
  })

  test('a test that fails is told by the exit code', async () => {
    await using folder = await tempDir()
    await writeFile(join(folder.path, 'a.test.js'), "throw new Error('no')")
    const { code, out } = await testFolder(folder.path)
    assert.equal(code, 1)
    assert.match(out, /fail 1\b/)
    assert.equal((await testFolder(join(folder.path, 'lost'))).code, 2)
  })

  test('needs a name that a storage may have, and an empty folder', async () => {
    await using folder = await tempDir()
    assert.match((await run(['processor', 'new', 'My Visits', join(folder.path, 'a')])).err, /A name is/)
    await mkdir(join(folder.path, 'full'))
    await writeFile(join(folder.path, 'full/a'), '')
    const { code, err } = await run(['processor', 'new', 'visits', join(folder.path, 'full')])
    assert.equal(code, 2)
    assert.match(err, /is not empty/)
    assert.equal((await run(['processor'])).code, 2)
    assert.equal((await run(['processor', 'drop', 'x'])).code, 2)
  })
})

test('processor list names the built-in processors and what they write', async () => {
  const { out } = await run(['processor', 'list'], false)
  const found: { name: string; formats: string[] }[] = JSON.parse(out)
  assert.ok(found.length > 0)
  for (const { formats } of found) assert.ok(formats.length > 0)
  assert.match((await run(['processor', 'list'])).out, /^processor +writes\n/)
})

suite('prove', () => {
  /** A copy of the template's processor in which one line is another. */
  async function setup(change: (text: string) => string) {
    await using stack = new AsyncDisposableStack()
    const folder = stack.use(await tempDir())
    const path = join(folder.path, 'visits')
    await run(['processor', 'new', 'visits', path])
    const other = join(path, 'other.ts')
    await writeFile(other, change(await readFile(join(path, 'processor.ts'), 'utf8')))
    const args = ['prove', '--storage', join(path, 'visits.yaml'), '--payloads', join(path, 'payloads')]
    const owned = stack.move()
    return { path, other, args, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  }

  test('finds that two equal processors agree', async () => {
    await using bundle = await setup((text) => text)
    const { code, out } = await run([
      ...bundle.args,
      '--right',
      bundle.other,
      '--generate',
      '400',
      '--seed',
      '1',
    ])
    assert.equal(code, 0, out)
    assert.match(out, /They agree on 401 messages \(1 payloads, 200 changed ones, 200 generated, seed 1\)/)
    const asJson = await run([...bundle.args, '--right', bundle.other, '--generate', '10', '--json'])
    const proof = JSON.parse(asJson.out)
    assert.equal(proof.difference, null)
    assert.deepEqual(proof.messages, { payload: 1, mutated: 5, generated: 5 })
    assert.equal(typeof proof.seed, 'number')
  })

  test('prints the first difference with the smallest message, and fails', async () => {
    await using bundle = await setup((text) => text.replace('id: visit.id', 'id: Number(visit.id)'))
    const { code, out } = await run([...bundle.args, '--right', bundle.other, '--seed', '1'])
    assert.equal(code, 1)
    assert.match(out, /They differ at row\[0\]\.id:\nleft +9007199254740993\nright +9007199254740992\n/)
    const asJson = await run([...bundle.args, '--right', bundle.other, '--seed', '1', '--json'])
    const { difference } = JSON.parse(asJson.out)
    assert.equal(difference.origin, 'payload visit.json')
    assert.ok(difference.message.length < difference.foundBytes, difference.message)
    const ignored = await run([...bundle.args, '--right', bundle.other, '--ignore', 'id', '--seed', '1'])
    assert.equal(ignored.code, 0, ignored.out)
  })

  test('tells a processor that does not come back, or ends its thread, by its message', async () => {
    const line = '      const visit = readVisit(message.value)\n'
    for (const [wrong, expected] of [
      ['while (true);', /right +took longer than 1000 ms\n/],
      ['process.exit(3)', /right +ended its thread\n/],
    ] as const) {
      await using bundle = await setup((text) =>
        text.replace(line, `${line}if (visit.page === '/') { ${wrong} }\n`),
      )
      const { code, out } = await run([...bundle.args, '--right', bundle.other, '--timeout', '1000'])
      assert.equal(code, 1)
      assert.match(out, expected)
      assert.match(out, /from payload visit\.json:\n\{"id":18446744073709551615,/)
    }
  })

  test('says what cannot be run', async () => {
    await using bundle = await setup(() => 'export const nothing = 1')
    const failed = async (...args: string[]) => (await run([...bundle.args, ...args])).err
    assert.match(await failed(), /--right takes/)
    assert.match(await failed('--right', bundle.other), /PROCESSOR_INVALID: .*other\.ts does not export/)
    assert.match(await failed('--right', 'built-in'), /PROCESSOR_UNKNOWN: .*no built-in processor/)
    assert.match(await failed('--right', 'x.ts', '--generate', 'many'), /--generate takes a whole number/)
    const lost = [
      'prove',
      '--storage',
      join(bundle.path, 'visits.yaml'),
      '--payloads',
      join(bundle.path, 'lost'),
    ]
    assert.match((await run([...lost, '--right', join(bundle.path, 'processor.ts')])).err, /PAYLOADS_INVALID/)
  })
})
