/** Attempts to take more than a program may: time, memory, output, requests to the host. */
import assert from 'node:assert/strict'
import { after, afterEach, before, suite, test } from 'node:test'
import { callWith, kindsOf, loadSource, openTestSandbox, valuesOf } from '../support/sandbox.ts'
import { type Attempts, openAttempts } from '../support/sandbox-attempts.ts'

let attempts: Attempts
before(async () => {
  attempts = await openAttempts()
})
after(() => attempts[Symbol.asyncDispose]())
afterEach(() => attempts.askNeighbour())

const attempt: Attempts['attempt'] = (source, more) => attempts.attempt(source, more)
const oneOfThree: Attempts['oneOfThree'] = (body, more) => attempts.oneOfThree(body, more)
const valueFrom: Attempts['valueFrom'] = (expression, more) => attempts.valueFrom(expression, more)

suite('time limits', () => {
  test('an endless loop is stopped', async () => {
    assert.equal(await oneOfThree('for (;;);'), 'timeout')
  })
  test('an endless loop that catches everything is stopped', async () => {
    assert.equal(await oneOfThree('for (;;) { try { for (;;); } catch {} finally { for (;;); } }'), 'timeout')
  })
  test('a regular expression that goes back and forth is stopped', async () => {
    assert.equal(await oneOfThree('/^(a+)+$/.test("a".repeat(50) + "b")'), 'timeout')
  })
  test('endless microtasks are stopped', async () => {
    assert.equal(await oneOfThree('return (async () => { for (;;) await 0 })()'), 'timeout')
  })
  test('endless microtasks that nobody waits for cost nothing of the answer', async () => {
    const answer = await attempt('exports.run = (n) => { (async () => { for (;;) await 0 })(); return n }', {
      values: [1, 2],
    })
    assert.deepEqual(valuesOf(answer), [1, 2])
  })
  test('a promise that never settles is given up', async () => {
    assert.equal(await oneOfThree('return new Promise(() => {})'), 'timeout')
  })
  test('items that wait do not keep others from being done', async () => {
    const answer = await attempt('exports.run = (n) => n % 2 ? new Promise(() => {}) : n', {
      values: [0, 1, 2, 3, 4],
      concurrencyMax: 5,
    })
    assert.deepEqual(kindsOf(answer), ['value', 'timeout', 'value', 'timeout', 'value'])
  })
  test('a loop among items in hand at once costs only its own item', async () => {
    const source = `exports.run = async (n) => { await bridge.call('echo'); if (n === 2) for (;;); return n }`
    const answer = await attempt(source, {
      values: [0, 1, 2, 3, 4],
      concurrencyMax: 5,
      host: { echo: async () => '1' },
    })
    assert.deepEqual(kindsOf(answer), ['value', 'value', 'timeout', 'value', 'value'])
  })
  test('a getter of the result that loops is stopped', async () => {
    assert.equal(await oneOfThree('return { get a() { for (;;); } }'), 'timeout')
  })
  test('a message or a stack that loops is stopped', async () => {
    assert.equal(await oneOfThree('throw { get message() { for (;;); } }'), 'timeout')
    assert.equal(
      await oneOfThree('Error.prepareStackTrace = () => { for (;;); }; throw new Error("x")'),
      'timeout',
    )
  })
  test('exports that loop when they are looked at stop the load or the call', async () => {
    const source = 'module.exports = new Proxy({}, { get(_, name) { if (name === "run") for (;;); } })'
    assert.deepEqual(kindsOf(await attempt(source, { values: [1, 2] })), ['timeout', 'timeout'])
  })
})

suite('memory limits', () => {
  const isBounded = (kind: string | undefined) =>
    assert.ok(kind !== undefined && ['memory', 'thrown', 'timeout', 'crash'].includes(kind), kind)
  test('a bomb of objects is stopped', async () => {
    isBounded(await oneOfThree('const all = []; for (;;) all.push({ all })'))
  })
  test('a bomb of texts is stopped', async () => {
    isBounded(await oneOfThree('let text = "x"; for (;;) text += text + n; return text.length'))
    isBounded(await oneOfThree('const all = []; for (;;) all.push("x".repeat(1e6) + all.length)'))
  })
  test('a bomb of buffers is stopped', async () => {
    isBounded(await oneOfThree('const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))'))
    isBounded(await oneOfThree('return new ArrayBuffer(1e9).byteLength'))
  })
  test('a big sort is stopped', async () => {
    isBounded(await oneOfThree('return Array.from({ length: 3e7 }, (_, at) => -at).sort().length'))
  })
  test('native calls that do not look whether they should stop are stopped', async () => {
    isBounded(await oneOfThree('return JSON.stringify(new Array(5e7).fill({ a: 1 })).length'))
    isBounded(await oneOfThree('return (2n ** 100000000n + "").length'))
  })
  test('deep recursion is an error of its item', async () => {
    assert.equal(await oneOfThree('const deep = () => deep() + 1; return deep()'), 'thrown')
  })
  test('recursion that ends inside the sandbox leaves it whole', async () => {
    await using sandbox = await openTestSandbox({ itemCpuMs: 10_000 })
    const source = `
      let left = 0
      const deep = (use) => { try { deep(use) } catch { if (left-- > 0) use() } }
      exports.run = (n) => {
        for (const use of [() => console.log('x'), () => bridge.call('echo'), () => new Date(), () => Math.random()])
          try { left = 20; deep(use) } catch {}
        return n
      }`
    const program = await loadSource(sandbox, source, { host: { echo: async () => '1' } })
    const answer = await callWith(program, [1, 2, 3])
    assert.deepEqual(valuesOf(answer), [1, 2, 3])
  })
  test('what a program keeps from item to item costs it a new heap, and no item', async () => {
    const source = `const kept = []; exports.run = (n) => { kept.push(Array.from({ length: 20000 }, (_, at) => ({ at }))); return n }`
    const values = Array.from({ length: 60 }, (_, n) => n)
    const answer = await attempt(source, { values })
    assert.deepEqual(valuesOf(answer), values)
    assert.ok(answer.stats.runs > 1)
  })
})

suite('floods and bombs', () => {
  test('a result that is too large is told so, and the others are there', async () => {
    assert.equal(await oneOfThree('return "x".repeat(200000)'), 'too_large')
  })
  test('results that are too large together are told so', async () => {
    const answer = await attempt('exports.run = () => "x".repeat(90000)', { values: [0, 1, 2, 3, 4] })
    assert.deepEqual(kindsOf(answer), ['value', 'value', 'value', 'too_large', 'too_large'])
  })
  test('a deeply nested item does not break the sandbox', async () => {
    await using program = await loadSource(attempts.sandbox, 'exports.run = (n) => n')
    const { signal } = new AbortController()
    const text = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const items = ['1', text, '{"a":', '', 'undefined', '2'].map((each) => ({
      text: each,
      nowMs: 0,
      seed: 0,
    }))
    const answer = await program.call('run', items, { signal })
    const kinds = kindsOf(answer)
    assert.deepEqual([kinds[0], kinds.slice(2)], ['value', ['invalid', 'invalid', 'invalid', 'value']])
  })
  test('a flood of lines is heard up to a number of characters', async () => {
    const answer = await attempt(
      'exports.run = (n) => { for (let at = 0; at < 10000; at++) console.log("line", at); return n }',
      { values: [1, 2] },
    )
    assert.deepEqual(valuesOf(answer), [1, 2])
    assert.ok(JSON.stringify(answer.logs).length < 5000)
    assert.ok(answer.linesLost > 19_000)
  })
  test('the console stands whatever it is given', async () => {
    const answer = await attempt(`exports.run = (n) => {
      const circle = {}; circle.circle = circle
      console.log(circle, 1n, Symbol('x'), null, undefined, new Error('e'), new Proxy({}, { get() { throw 1 } }), { toJSON() { throw 1 } }, 'y'.repeat(1e6))
      console.error(); return n }`)
    assert.deepEqual(valuesOf(answer), [0])
    assert.ok(answer.logs.every(({ text }) => text.length <= 500))
  })
  test('late rejections are printed, a flood of them as well, and harm nobody', async () => {
    const answer = await attempt(
      'exports.run = (n) => { for (let at = 0; at < 1000; at++) Promise.reject(new Error("late")); return n }',
      { values: [1, 2] },
    )
    assert.deepEqual(valuesOf(answer), [1, 2])
    assert.ok(answer.logs.length <= 40)
  })
  test('a flood of requests to the host is cut off in the heap', async () => {
    let asked = 0
    const host = { count: async () => String(++asked) }
    const found = await valueFrom(
      `(await Promise.allSettled(Array.from({ length: 1000 }, () => bridge.call('count')))).filter(({ status }) => status === 'fulfilled').length`,
      { host },
    )
    assert.ok(Number(found) <= 50 && asked <= 50, `${found} ${asked}`)
  })
  test('what the host is given and what it answers are bounded', async () => {
    const host = { big: async () => JSON.stringify('x'.repeat(20_000)) }
    assert.match(
      String(
        await valueFrom(`bridge.call('big', 'x'.repeat(20000)).catch((error) => error.message)`, { host }),
      ),
      /10000/,
    )
    assert.match(
      String(await valueFrom(`bridge.call('big').catch((error) => error.message)`, { host })),
      /10000/,
    )
  })
  test('the host is told when nobody waits any more', async () => {
    const aborted = Promise.withResolvers<void>()
    const host = {
      slow: (_: string, { signal }: { signal: AbortSignal }) => {
        signal.addEventListener('abort', () => aborted.resolve())
        return new Promise<string>(() => {})
      },
    }
    assert.deepEqual(
      valuesOf(await attempt('exports.run = (n) => { bridge.call("slow"); return n }', { host })),
      [0],
    )
    await aborted.promise
  })
  test('the host cannot be asked while a program loads', async () => {
    const source =
      'const early = bridge.call("echo").catch((error) => error.message); exports.run = () => early'
    assert.match(
      String(valuesOf(await attempt(source, { host: { echo: async () => '1' } }))[0]),
      /for calls only/,
    )
  })
})
