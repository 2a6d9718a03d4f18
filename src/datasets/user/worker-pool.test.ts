/** A processor that misbehaves in every way costs its own messages and nothing else. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { tempDir } from '../../../test/support/temp-dir.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { createSystemClock } from '../../adapters/embedded/clock.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { BatchRunner } from '../consume/batch-runner.ts'
import { readNative } from '../processor/columns/read-native.ts'
import type { ProcessedBatch } from '../processor/run-batch.ts'
import { createMessage } from '../processor/run-message.ts'
import { type ProcessorConfig, processorConfig } from './config.ts'
import { openWorkerPool } from './worker-pool.ts'

const { signal } = new AbortController()

/** A row `{"n":…}` of each message, after `behaviour`, in which `n` is the message's number. */
const moduleText = (behaviour: string, { top = '', members = '' }) => `
import { InvalidMessage, type MessageProcessor, type ProcessorContext } from 'rowmill/processor'
${top}
export function createProcessor(context: ProcessorContext): MessageProcessor {
  const kept: unknown[] = []
  return {
    ${members}
    process(message, output) {
      const n: number = JSON.parse(message.value.toString()).n
      ${behaviour}
      output.row({ n })
    },
  }
}`

type Bundle = AsyncDisposable & { pool: BatchRunner; counted: Map<string, number> }

async function setup(
  behaviour: string,
  options: { config?: Partial<ProcessorConfig>; threadsMax?: number; top?: string; members?: string } = {},
): Promise<Bundle> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempDir())
  const file = join(folder.path, 'mine.mts')
  await writeFile(file, moduleText(behaviour, options))
  const counted = new Map<string, number>()
  const pool = stack.use(
    await openWorkerPool({
      source: { kind: 'module', file },
      context: {
        storage: 'mine',
        format: 'JSONEachRow',
        retention: { defaultDays: 90, lowerDays: 30, validDays: [30, 90] },
        options: { word: 'hello' },
      },
      tables: 1,
      threadsMax: options.threadsMax ?? 1,
      config: processorConfig.parse({ messageTimeoutMs: 1000, ...options.config }),
      clock: { ...createSystemClock(), now: () => 42 },
      logger: quietTelemetry().logger,
      live: () => ({ loud: true }),
      count: (metric, by) => counted.set(metric, (counted.get(metric) ?? 0) + by),
    }),
  )
  const owned = stack.move()
  return { pool, counted, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const messages = (count: number, padding = '') =>
  Array.from({ length: count }, (_, n) => createMessage({ value: { n, padding }, offset: n }))

function rowsOf({ rows }: ProcessedBatch): string[] {
  const [buffer] = rows
  return buffer?.slice(0, buffer.rows).toString().trimEnd().split('\n') ?? []
}

const numbersOf = (batch: ProcessedBatch): number[] => rowsOf(batch).map((row) => JSON.parse(row).n)
const range = (count: number, ...without: number[]) =>
  Array.from({ length: count }, (_, n) => n).filter((n) => !without.includes(n))

suite('a processor in a thread', () => {
  test('sees the message, its options, the live options and the time of the batch', async () => {
    await using bundle = await setup(`
      output.row({
        n, word: context.options.word, loud: context.live().loud, now: context.nowMs(),
        uuid: /^[0-9a-f-]{36}$/.test(context.uuid()), key: message.key?.toString(), header: message.headers.a,
        place: [message.topic, message.partition, message.offset, message.timestampMs].join(),
      })
      context.count('things', 2, {})
      output.times({ originMs: n, receivedMs: 7 })
      return`)
    const batch = await bundle.pool.run(
      [
        createMessage({
          value: { n: 1 },
          key: 'k',
          headers: { a: 'b' },
          topic: 't',
          partition: 3,
          offset: 9,
        }),
        createMessage({ value: { n: 2 }, topic: 't', partition: 4, timestampMs: 5 }),
      ],
      { signal },
    )
    const common = { word: 'hello', loud: true, now: 42, uuid: true }
    assert.deepEqual(
      rowsOf(batch).map((row) => JSON.parse(row)),
      [
        { n: 1, ...common, key: 'k', header: 'b', place: 't,3,9,1700000000000' },
        { n: 2, ...common, place: 't,4,1,5' },
      ],
    )
    assert.deepEqual(batch.times, { originMs: [1, 2], receivedMs: [7, 7] })
    assert.equal(bundle.counted.get('things'), 4)
  })

  test('ends each message in its own way, as in the thread of the consumer', async () => {
    await using bundle = await setup(`
      if (n === 1) throw new InvalidMessage('n is 1', { path: 'n' })
      if (n === 2) return output.skip('two')
      if (n === 3) throw new Error('oops')
      if (n === 4) return output.replacement('four')
      if (n === 5) { output.row({ n: 'taken back' }); throw new InvalidMessage('later', { isSilent: true }) }`)
    const batch = await bundle.pool.run(messages(7), { signal })
    assert.deepEqual(numbersOf(batch), [0, 6])
    assert.deepEqual(
      [...batch.endings].map(([index, ending]) => [index, 'reason' in ending ? ending.reason : ending.kind]),
      [
        [1, 'invalid_message'],
        [2, 'two'],
        [3, 'processor_failed'],
        [4, 'replacement'],
        [5, 'ignored_message'],
      ],
    )
    const invalid = batch.endings.get(1)
    assert.equal(invalid?.kind === 'invalid' && invalid.path, 'n')
    assert.ok(invalid?.kind === 'invalid' && invalid.stack.includes('mine.mts'), 'the stack names the file')
  })

  test('shares a batch with other threads and keeps its order', async () => {
    await using bundle = await setup('if (n % 100 === 7) output.skip("seven"); else', { threadsMax: 3 })
    const batch = await bundle.pool.run(messages(1000), { signal })
    const sevens = range(1000).filter((n) => n % 100 === 7)
    assert.deepEqual(numbersOf(batch), range(1000, ...sevens))
    assert.deepEqual([...batch.endings.keys()], sevens)
    const [buffer] = batch.rows
    assert.deepEqual(
      numbersOf(batch).map((_, row) => buffer?.ownerOf(row)),
      numbersOf(batch),
    )
  })

  test('writes by columns if it has them', async () => {
    const top = `
      import { ColumnRows } from 'rowmill/processor'
      const rows = new ColumnRows()
      const [number, words] = [rows.u32('n'), rows.texts('words')]
      const byColumns = (n: number, output: { endRow(): void }) => {
        number.put(n)
        if (n % 100 === 7) throw new Error('seven')
        words.items.put('word')
        words.end()
        output.endRow()
      }
      const columns = [rows]`
    const behaviour = 'return byColumns(n, output)'
    await using bundle = await setup(behaviour, { threadsMax: 3, top, members: 'columns,' })
    const batch = await bundle.pool.run(messages(1000), { signal })
    const sevens = range(1000).filter((n) => n % 100 === 7)
    const [buffer] = batch.rows
    assert.deepEqual(buffer?.columns, ['n', 'words'])
    assert.deepEqual(
      readNative(buffer.slice(0, buffer.rows)),
      range(1000, ...sevens).map((n) => ({ n: BigInt(n), words: ['word'] })),
    )
    assert.deepEqual([...batch.endings.keys()], sevens)
    const none = await bundle.pool.run([], { signal })
    assert.deepEqual(
      none.rows.map(({ rows }) => rows),
      [0],
    )
  })

  test('is given several batches at once, and none at all', async () => {
    await using bundle = await setup('', { threadsMax: 2 })
    const batches = await Promise.all(
      [5, 0, 300, 7, 1].map((count) => bundle.pool.run(messages(count), { signal })),
    )
    assert.deepEqual(
      batches.map((batch) => batch.rows[0]?.rows),
      [5, 0, 300, 7, 1],
    )
  })
})

suite('a processor that', () => {
  const failed = (batch: ProcessedBatch) =>
    [...batch.endings].map(([index, ending]) => [index, ending.kind === 'invalid' && ending.message])

  test('does not come back loses the message that it had in hand', async () => {
    await using bundle = await setup('while (n === 31);', { config: { messageTimeoutMs: 200 } })
    const batch = await bundle.pool.run(messages(50), { signal })
    assert.deepEqual(numbersOf(batch), range(50, 31))
    assert.deepEqual(failed(batch), [[31, 'The processor took longer than 200 ms.']])
    assert.equal(bundle.counted.get('consumer_processor_thread_deaths_total'), 1)
  })

  test('keeps what it made gets a new thread from time to time, and no message is lost', async () => {
    await using bundle = await setup('kept.push(Array.from({ length: 20_000 }, (_, at) => ({ at })))', {
      config: { workerMemoryMegabytesMax: 32 },
    })
    const batch = await bundle.pool.run(messages(80), { signal })
    assert.deepEqual(numbersOf(batch), range(80))
    assert.equal(batch.endings.size, 0)
    assert.ok((bundle.counted.get('consumer_processor_thread_deaths_total') ?? 0) >= 1)
  })

  test('keeps buffers, which the limit of the heap does not see, gets a new thread too', async () => {
    await using bundle = await setup('kept.push(message)', { config: { workerMemoryMegabytesMax: 32 } })
    for (let round = 0; round < 12; round++) {
      const batch = await bundle.pool.run(messages(80, 'x'.repeat(100_000)), { signal })
      assert.deepEqual(numbersOf(batch), range(80))
    }
    assert.ok((bundle.counted.get('consumer_processor_thread_deaths_total') ?? 0) >= 1)
  })

  test('takes all memory for one message loses that message', async () => {
    await using bundle = await setup('if (n === 3) for (;;) kept.push({ at: kept.length })', {
      config: { workerMemoryMegabytesMax: 32, messageTimeoutMs: 30_000 },
    })
    const batch = await bundle.pool.run(messages(6), { signal })
    assert.deepEqual(numbersOf(batch), range(6, 3))
    assert.deepEqual(failed(batch), [[3, 'The processor needed more memory than 32 MiB.']])
  })

  test('exits the process exits its thread', async () => {
    await using bundle = await setup('if (n === 2) process.exit(7)')
    const batch = await bundle.pool.run(messages(4), { signal })
    assert.deepEqual(numbersOf(batch), [0, 1, 3])
    assert.deepEqual(failed(batch), [[2, 'The processor ended its thread with exit code 7.']])
  })

  test('throws later, when nobody waits any more, is started again for the next batch', async () => {
    await using bundle = await setup('if (n === 1) setTimeout(() => { throw new Error("late") })')
    assert.deepEqual(numbersOf(await bundle.pool.run(messages(3), { signal })), [0, 1, 2])
    for (let round = 0; round < 3; round++)
      assert.deepEqual(numbersOf(await bundle.pool.run(messages(3), { signal })), [0, 1, 2])
    await waitFor(async () => {
      await bundle.pool.run(messages(1), { signal })
      return (bundle.counted.get('consumer_processor_thread_deaths_total') ?? 0) > 0
    })
  })

  test('throws what is no error, and what cannot be read, is a message failed', async () => {
    await using bundle = await setup(
      'if (n === 0) throw null; if (n === 1) throw { toString() { throw new Error() } }',
    )
    const batch = await bundle.pool.run(messages(3), { signal })
    assert.deepEqual(numbersOf(batch), [2])
    assert.deepEqual([...batch.endings.keys()], [0, 1])
  })

  test('returns a promise is told that it must not', async () => {
    await using bundle = await setup('return (async () => { throw new Error() })()')
    const batch = await bundle.pool.run(messages(1), { signal })
    assert.match(String(failed(batch)[0]?.[1]), /must be synchronous/)
  })

  test('floods the console is heard up to a number of bytes', async () => {
    await using bundle = await setup(
      "if (n === 0) for (let i = 0; i < 100_000; i++) { console.log('x'.repeat(100)); console.error('y') }",
      { config: { printedBytesMax: 1000 } },
    )
    assert.deepEqual(numbersOf(await bundle.pool.run(messages(2), { signal })), [0, 1])
  })

  test('ends its thread before it reads anything ends the run', async () => {
    await using bundle = await setup('', {
      top: "import { parentPort } from 'node:worker_threads'\nparentPort?.on('message', () => process.exit(5))",
    })
    await assert.rejects(bundle.pool.run(messages(1), { signal }), (error) => {
      assert.ok(isRowmillError(error, 'PROCESSOR_FAILED'), String(error))
      assert.match(error.message, /exit code 5, 3 times in a row/)
      return true
    })
  })
})

suite('a module that', () => {
  const refusal = async (text: string, expected: RegExp, startTimeoutMs = 60_000) => {
    await using folder = await tempDir()
    const file = join(folder.path, 'mine.mts')
    if (text !== '') await writeFile(file, text)
    const opened = openWorkerPool({
      source: { kind: 'module', file },
      context: {
        storage: 'mine',
        format: 'JSONEachRow',
        retention: { defaultDays: 90, lowerDays: 30, validDays: [] },
        options: {},
      },
      tables: 1,
      threadsMax: 1,
      config: processorConfig.parse({ startTimeoutMs }),
      clock: createSystemClock(),
      logger: quietTelemetry().logger,
      live: () => ({}),
      count: () => undefined,
    })
    await assert.rejects(opened, (error) => {
      assert.ok(isRowmillError(error, 'PROCESSOR_INVALID'), String(error))
      assert.ok(error.message.includes(file), error.message)
      assert.match(`${error.message} ${error.cause}`, expected)
      return true
    })
  }

  test('is not there, is no TypeScript, or lacks the function is refused by its name', async () => {
    await refusal('', /does not load.*Cannot find module/)
    await refusal('export const = 1', /does not load/)
    await refusal('export enum A { B }', /does not load.*enum/)
    await refusal('export const process = 1', /does not export a function createProcessor/)
    await refusal('export const createProcessor = 1', /does not export a function createProcessor/)
    await refusal('export const createProcessor = () => 1', /does not return an object/)
    await refusal('export const createProcessor = () => { throw new Error("no luck") }', /no luck/)
    await refusal('throw new Error("at once")', /at once/)
  })

  test('ends the thread or never finishes loading is refused too', async () => {
    await refusal('process.exit(1)', /ended while it was loaded/)
    await refusal('for (;;);', /did not load within 500 ms/, 500)
    await refusal('await new Promise(() => {})', /ended while it was loaded|did not load/, 500)
  })
})

test('an abort ends the run at once with its reason, and the pool can be closed twice', async () => {
  await using bundle = await setup('while (true);', { config: { messageTimeoutMs: 60_000 } })
  const stop = new AbortController()
  const run = bundle.pool.run(messages(3), { signal: stop.signal })
  stop.abort(new Error('stop'))
  await assert.rejects(run, /stop/)
  const again = assert.rejects(bundle.pool.run(messages(3), { signal }))
  await bundle.pool[Symbol.asyncDispose]()
  await again
  await bundle.pool[Symbol.asyncDispose]()
})
