/** Programs that end or wedge the process that they share with others: it costs only themselves. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isRowmillError } from '../../src/errors/rowmill-error.ts'
import { callWith, failureOf, kindsOf, loadSource, openTestSandbox, valuesOf } from '../support/sandbox.ts'
import { waitFor } from '../support/wait-for.ts'

/** Native code that does not look whether it should stop; V8 loses control of the heap. */
const nativeCrash = '(2n ** 100000000n) + ""'
const { signal } = new AbortController()

suite('a process that ends', () => {
  test('costs the guilty item alone, and the program is paused when it happens too often', async () => {
    await using sandbox = await openTestSandbox({ heapMegabytesMax: 64, crashesMax: 2 })
    const neighbour = await loadSource(
      sandbox,
      'exports.run = async (n) => { await bridge.call("wait"); return n }',
      {
        host: { wait: async () => '1' },
      },
    )
    const guilty = await loadSource(
      sandbox,
      `exports.run = (n) => { if (n === 1) return ${nativeCrash}; return n }`,
    )
    const [harm, others] = await Promise.all([
      callWith(guilty, [0, 1, 2]),
      callWith(
        neighbour,
        Array.from({ length: 30 }, (_, n) => n),
      ),
    ])
    assert.deepEqual(valuesOf(others).length, 30)
    assert.deepEqual(kindsOf(others), Array(30).fill('value'))
    const [first, kind, last] = kindsOf(harm)
    assert.deepEqual([first, last], ['value', 'value'])
    assert.ok(kind === 'crash' || kind === 'memory', kind)
    if (kind === 'crash') {
      assert.match(failureOf(harm, 1).message, /ended its process/)
      const again = await callWith(guilty, [0, 1, 2])
      assert.equal(guilty.state.kind, 'paused')
      assert.ok(kindsOf(again).includes('paused'))
      assert.deepEqual(kindsOf(await callWith(guilty, [5])), ['paused'])
      guilty.resume()
      assert.deepEqual(valuesOf(await callWith(guilty, [5])), [5])
    }
    assert.deepEqual(valuesOf(await callWith(neighbour, [7])), [7])
  })

  test('by a kill from outside is replaced, and what it had in hand runs again', async () => {
    await using sandbox = await openTestSandbox({ itemWaitMs: 60_000 })
    let asked = 0
    const release = Promise.withResolvers<void>()
    const host = {
      wait: async () => {
        if (++asked > 2) release.resolve()
        await release.promise
        return '1'
      },
    }
    const source = 'exports.run = async (n) => { await bridge.call("wait"); return n }'
    const one = await loadSource(sandbox, source, { host })
    const two = await loadSource(sandbox, source, { host })
    const calls = Promise.all([callWith(one, [1, 2]), callWith(two, [3])])
    await waitFor(() => asked === 2)
    const [child] = sandbox.stats().children
    assert.ok(child?.pid !== undefined)
    process.kill(child.pid, 'SIGKILL')
    const answers = await calls
    assert.deepEqual(answers.map(valuesOf), [[1, 2], [3]])
    assert.deepEqual([one.state.kind, two.state.kind], ['running', 'running'])
    assert.equal(await sandbox.metrics.value('sandbox_child_deaths_total', { cause: 'crash' }), 1)
  })

  test('while nothing runs is replaced when there is work', async () => {
    await using sandbox = await openTestSandbox()
    const program = await loadSource(sandbox, 'let n = 0; exports.run = () => ++n')
    assert.deepEqual(valuesOf(await callWith(program, [0, 0])), [1, 2])
    const [child] = sandbox.stats().children
    assert.ok(child?.pid !== undefined)
    process.kill(child.pid, 'SIGSEGV')
    await waitFor(() => sandbox.stats().children.length === 0)
    assert.deepEqual(valuesOf(await callWith(program, [0])), [1])
  })

  test('takes no crash into account of who was not alone in it', async () => {
    await using sandbox = await openTestSandbox({ crashesMax: 1 })
    const program = await loadSource(
      sandbox,
      'exports.run = async (n) => { await bridge.call("hold"); return n }',
      {
        host: {
          hold: async () => {
            if (kills-- > 0) process.kill(pid(), 'SIGKILL')
            return '1'
          },
        },
      },
    )
    let kills = 1
    const pid = () => sandbox.stats().children[0]?.pid ?? 0
    assert.deepEqual(valuesOf(await callWith(program, [4])), [4])
    assert.equal(program.state.kind, 'running')
  })
})

suite('a process that does not answer', () => {
  test('is killed after a time of silence and replaced', async () => {
    await using sandbox = await openTestSandbox({ wedgeMs: 1000, itemWaitMs: 60_000 })
    let isStopped = false
    const program = await loadSource(
      sandbox,
      'exports.run = async (n) => { await bridge.call("stop"); return n }',
      {
        host: {
          stop: async () => {
            const pid = sandbox.stats().children[0]?.pid
            if (!isStopped && pid !== undefined) process.kill(pid, 'SIGSTOP')
            isStopped = true
            return '1'
          },
        },
      },
    )
    assert.deepEqual(valuesOf(await callWith(program, [1, 2])), [1, 2])
    assert.equal(await sandbox.metrics.value('sandbox_child_deaths_total', { cause: 'silent' }), 1)
  })

  test('that has grown too large is killed and replaced', async () => {
    await using sandbox = await openTestSandbox({
      childMegabytesMax: 100,
      heapMegabytesMax: 512,
      itemWaitMs: 60_000,
    })
    const source = `let kept; exports.run = async (n) => {
      if (n === 1) { kept = new Uint8Array(150e6).fill(1); await bridge.call('never') }
      return n }`
    const program = await loadSource(sandbox, source, { host: { never: () => new Promise(() => {}) } })
    const answer = await callWith(program, [0, 1, 2])
    assert.deepEqual(kindsOf(answer), ['value', 'crash', 'value'])
    assert.match(failureOf(answer, 1).message, /needed more memory than 100 MiB/)
  })
})

suite('queues', () => {
  test('more calls than may wait are refused, and aborted ones leave', async () => {
    await using sandbox = await openTestSandbox({ callsWaitingMax: 2, itemWaitMs: 60_000 })
    const held = Promise.withResolvers<void>()
    let asked = 0
    const program = await loadSource(
      sandbox,
      'exports.run = async (n) => { await bridge.call("hold"); return n }',
      {
        host: {
          hold: async () => {
            asked++
            await held.promise
            return '1'
          },
        },
      },
    )
    const first = callWith(program, [1])
    await waitFor(() => asked === 1)
    const abort = new AbortController()
    const items = [{ text: '2', nowMs: 0, seed: 0 }]
    const second = program.call('run', items, { signal: abort.signal })
    const third = callWith(program, [3])
    await assert.rejects(callWith(program, [4]), (error) => isRowmillError(error, 'SANDBOX_BUSY'))
    abort.abort(new Error('not wanted'))
    await assert.rejects(second, /not wanted/)
    held.resolve()
    assert.deepEqual([valuesOf(await first), valuesOf(await third)], [[1], [3]])
  })

  test('a call in hand that is aborted ends at once, also in an endless loop', async () => {
    await using sandbox = await openTestSandbox({ itemCpuMs: 60_000 })
    const program = await loadSource(
      sandbox,
      'exports.run = (n) => { console.log(n); bridge.call("begun"); if (n === 1) for (;;); return n }',
      {
        host: {
          begun: async () => {
            abort.abort(new Error('not wanted'))
            return '1'
          },
        },
      },
    )
    const abort = new AbortController()
    const items = [{ text: '1', nowMs: 0, seed: 0 }]
    await assert.rejects(program.call('run', items, { signal: abort.signal }), /not wanted/)
    await assert.rejects(program.call('run', items, { signal: abort.signal }), /not wanted/)
    assert.deepEqual(valuesOf(await program.call('run', [{ text: '2', nowMs: 0, seed: 0 }], { signal })), [2])
  })

  test('a call that is too large is refused', async () => {
    await using sandbox = await openTestSandbox({ callItemsMax: 2, callCharsMax: 100 })
    const program = await loadSource(sandbox, 'exports.run = (n) => n')
    for (const values of [[1, 2, 3], ['x'.repeat(100)]])
      await assert.rejects(callWith(program, values), (error) =>
        isRowmillError(error, 'SANDBOX_INPUT_TOO_LARGE'),
      )
  })
})
