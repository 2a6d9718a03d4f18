/** What a program can do that means no harm. The attacks are in test/sandbox. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import {
  callWith,
  failureOf,
  itemsOf,
  kindsOf,
  loadSource,
  openTestSandbox,
  valuesOf,
} from '../../test/support/sandbox.ts'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { Sandbox } from './sandbox.ts'

const { signal } = new AbortController()

suite('a program', () => {
  let sandbox: Sandbox
  before(async () => {
    sandbox = await openTestSandbox()
  })
  after(() => sandbox[Symbol.asyncDispose]())

  test('is given items and answers each in its way', async () => {
    const program = await loadSource(
      sandbox,
      `exports.run = async (event) => {
        if (event.n === 1) return null
        if (event.n === 2) return undefined
        if (event.n === 3) throw new TypeError('three')
        return { ...event, name: 'é€😀' }
      }
      exports.other = (n) => n + 1
      exports.value = 1`,
    )
    assert.deepEqual(program.entries, ['run', 'other'])
    const answer = await callWith(
      program,
      [0, 1, 2, 3, 4].map((n) => ({ n, text: 'ü€😀' })),
    )
    assert.deepEqual(
      answer.results.map((result) => (result.kind === 'value' ? result.text : result.failure.message)),
      [
        '{"n":0,"text":"ü€😀","name":"é€😀"}',
        'null',
        undefined,
        'three',
        '{"n":4,"text":"ü€😀","name":"é€😀"}',
      ],
    )
    assert.deepEqual(valuesOf(await callWith(program, [1, 2], { entry: 'other' })), [2, 3])
    assert.deepEqual(kindsOf(await callWith(program, [1], { entry: 'value' })), ['missing'])
    assert.deepEqual((await callWith(program, [])).results, [])
    assert.ok(answer.stats.cpuMs > 0 && answer.stats.wallMs > 0 && answer.stats.heapBytes > 0)
  })

  test('may export by default, or one object', async () => {
    const byDefault = await loadSource(sandbox, 'exports.default = { run: (n) => n * 2 }')
    assert.deepEqual(byDefault.entries, ['run'])
    assert.deepEqual(valuesOf(await callWith(byDefault, [2])), [4])
    const whole = await loadSource(sandbox, 'module.exports = { run: (n) => n * 3 }')
    assert.deepEqual(valuesOf(await callWith(whole, [2])), [6])
  })

  test('asks host functions, in order or several at once', async () => {
    const seen: string[] = []
    const host = {
      double: async (args: string, { program, entry }: { program: string; entry: string }) => {
        seen.push(`${program} ${entry} ${args}`)
        return JSON.stringify(JSON.parse(args)[0] * 2)
      },
      nothing: async () => undefined,
    }
    const program = await loadSource(
      sandbox,
      'exports.run = async (n) => [await bridge.call("double", n), await bridge.call("nothing")]',
      { host },
    )
    const answer = await callWith(program, [1, 2, 3], { concurrencyMax: 3 })
    assert.deepEqual(valuesOf(answer), [
      [2, null],
      [4, null],
      [6, null],
    ])
    assert.equal(answer.stats.hostCalls, 6)
    assert.deepEqual(seen.toSorted(), ['plugin.js run [1]', 'plugin.js run [2]', 'plugin.js run [3]'])
  })

  test('has a library that hides the bridge and makes the entries', async () => {
    const library = `(bridge) => {
      const cache = { get: (key) => bridge.call('get', key) }
      return (exported) => ({ run: (item) => exported.processEvent(item, { cache }) })
    }`
    const source =
      'exports.processEvent = async (event, { cache }) => ({ ...event, cached: await cache.get("k"), bridge: typeof bridge })'
    const program = await loadSource(sandbox, source, { library, host: { get: async (args) => args } })
    assert.deepEqual(program.entries, ['run'])
    assert.deepEqual(valuesOf(await callWith(program, [{ a: 1 }])), [
      { a: 1, cached: ['k'], bridge: 'undefined' },
    ])
  })

  test('prints, and its lines come with the answer', async () => {
    const program = await loadSource(
      sandbox,
      'exports.run = (n) => { console.log("n is", n, { n }); console.warn([1]); return n }',
    )
    const { logs, linesLost } = await callWith(program, [1])
    assert.deepEqual(logs, [
      { level: 'log', text: 'n is 1 {"n":1}' },
      { level: 'warn', text: '[1]' },
    ])
    assert.equal(linesLost, 0)
  })

  test('keeps its state from call to call, and has its setup once', async () => {
    const [item] = itemsOf([{ start: 5 }])
    assert.ok(item !== undefined)
    const source =
      'let n; exports.setup = async ({ start }) => { console.log("setup"); n = start }; exports.run = () => ++n'
    const program = await loadSource(sandbox, source, { setup: { entry: 'setup', item } })
    assert.deepEqual(valuesOf(await callWith(program, [0, 0])), [6, 7])
    assert.deepEqual(valuesOf(await callWith(program, [0])), [8])
  })

  test('whose setup fails is not loaded; later the failure is that of the items', async () => {
    const [item] = itemsOf([0])
    assert.ok(item !== undefined)
    let isGood = true
    const host = { ask: async () => JSON.stringify(isGood) }
    const source = `exports.setup = async () => { if (!await bridge.call('ask')) throw new RangeError('not now') }
      exports.run = (n) => { if (n === 1) for (;;); return n }`
    const program = await loadSource(sandbox, source, { host, setup: { entry: 'setup', item } })
    isGood = false
    const answer = await callWith(program, [0, 1, 2])
    const [first, second, third] = kindsOf(answer)
    assert.deepEqual([first, third], ['value', 'setup'])
    assert.ok(
      second === 'timeout' || second === 'setup',
      'on a busy machine it is tried again, in a new heap',
    )
    assert.deepEqual([failureOf(answer, 2).name, failureOf(answer, 2).message], ['RangeError', 'not now'])
    await assert.rejects(loadSource(sandbox, source, { host, setup: { entry: 'setup', item } }), (error) => {
      assert.ok(isRowmillError(error, 'SANDBOX_SETUP_FAILED'), String(error))
      assert.match(String(error.details.stack), /plugin\.js:1/)
      return true
    })
    isGood = true
    assert.deepEqual(valuesOf(await callWith(program, [3])), [3])
  })

  test('is replaced by a new version while the old one finishes', async () => {
    const held = Promise.withResolvers<string>()
    const host = { hold: () => held.promise }
    const old = await loadSource(
      sandbox,
      'exports.run = async () => { await bridge.call("hold"); return "old" }',
      { host },
    )
    const running = callWith(old, [1])
    const next = await loadSource(sandbox, 'exports.run = () => "new"')
    const closing = old[Symbol.asyncDispose]()
    await assert.rejects(callWith(old, [1]), (error) => isRowmillError(error, 'SANDBOX_CLOSED'))
    assert.deepEqual(valuesOf(await callWith(next, [1])), ['new'])
    held.resolve('1')
    assert.deepEqual(valuesOf(await running), ['old'])
    await closing
    await old[Symbol.asyncDispose]()
  })
})

suite('a sandbox', () => {
  test('runs many programs at once in several processes, each with its own heap', async () => {
    await using sandbox = await openTestSandbox({ childrenMax: 2, isolatesPerChildMax: 5 })
    const programs = await Promise.all(
      Array.from({ length: 12 }, (_, n) => loadSource(sandbox, `exports.run = (x) => x + ${n}`)),
    )
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(programs.map((program) => callWith(program, [0, 100])))
      assert.deepEqual(
        answers.map(valuesOf),
        programs.map((_, n) => [n, 100 + n]),
      )
    }
    assert.ok(sandbox.stats().children.length <= 2)
    assert.equal(await sandbox.metrics.value('sandbox_child_deaths_total', { cause: 'crash' }), 0)
  })

  test('answers calls of one program at once in the order of each', async () => {
    await using sandbox = await openTestSandbox({ childrenMax: 2 })
    const program = await loadSource(sandbox, 'exports.run = (x) => x')
    const calls = Array.from({ length: 40 }, (_, n) => callWith(program, [n, n + 1]))
    assert.deepEqual(
      (await Promise.all(calls)).map(valuesOf),
      Array.from({ length: 40 }, (_, n) => [n, n + 1]),
    )
  })

  test('that is closed refuses calls and leaves no process', async () => {
    const sandbox = await openTestSandbox()
    const program = await loadSource(
      sandbox,
      'exports.run = async (n) => { await bridge.call("hold"); return n }',
      {
        host: { hold: () => new Promise(() => {}) },
      },
    )
    const [child] = sandbox.stats().children
    assert.ok(child?.pid !== undefined)
    const pid = child.pid
    const running = callWith(program, [1])
    running.catch(() => undefined)
    await sandbox[Symbol.asyncDispose]()
    await sandbox[Symbol.asyncDispose]()
    await assert.rejects(running, (error) => isRowmillError(error, 'SANDBOX_CLOSED'))
    await assert.rejects(program.call('run', itemsOf([1]), { signal }), (error) =>
      isRowmillError(error, 'SANDBOX_CLOSED'),
    )
    assert.throws(() => process.kill(pid, 0))
  })
})
