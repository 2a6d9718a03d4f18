import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { quietTelemetry } from '../../test/support/quiet.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { createSystemClock } from '../adapters/embedded/clock.ts'
import { createSystemRandom } from '../adapters/embedded/random.ts'
import { isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import { createLogger } from '../telemetry/logger.ts'
import { openSupervised, type SupervisedSpec, type SupervisedState } from './supervise.ts'

const context = { clock: createSystemClock(), random: createSystemRandom(), logger: quietTelemetry().logger }
const sayReady = "process.send('ready'); setInterval(() => {}, 1000);"

function spec(script: string, changes: Partial<SupervisedSpec<number>> = {}): SupervisedSpec<number> {
  return {
    name: 'child',
    start: () => ({ command: process.execPath, args: ['-e', script], env: {}, ipc: true }),
    waitReady: async (child, signal) => {
      await once(child, 'message', { signal })
      return pidOf(child)
    },
    readyWithinMs: 30_000,
    stop: { signal: 'SIGTERM', graceMs: 10_000 },
    restart: { attemptsMax: 5, delayMs: 1, delayMaxMs: 10, windowMs: 60_000 },
    ...changes,
  }
}

function pidOf(child: ChildProcess): number {
  assert(child.pid !== undefined)
  return child.pid
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const isEngineFailure = (error: unknown) => isRowmillError(error, 'ENGINE_FAILED')

test('a child is ready when it says so and gone after closing, which may be done twice', async () => {
  const states: SupervisedState[] = []
  const child = await openSupervised(context, spec(sayReady, { onState: (state) => states.push(state) }))
  const pid = child.current()
  assert(pid !== undefined)
  assert.equal(child.pid, pid)
  assert(isAlive(pid))
  await child[Symbol.asyncDispose]()
  await child[Symbol.asyncDispose]()
  assert(!isAlive(pid))
  assert.equal(child.current(), undefined)
  assert.deepEqual(states, ['starting', 'ready', 'stopped'])
  await assert.rejects(child.ready(), isEngineFailure)
})

test('a child that dies is started again', async () => {
  await using child = await openSupervised(context, spec(sayReady))
  const first = await child.ready()
  process.kill(first, 'SIGKILL')
  const second = await waitFor(() => child.current() !== first && child.current())
  assert.notEqual(second, first)
  assert.equal(await child.ready(), second)
})

test('a child that is killed by its owner is started again', async () => {
  await using child = await openSupervised(context, spec(sayReady))
  const first = await child.ready()
  child.kill('it no longer answers')
  await waitFor(() => child.current() !== undefined && child.current() !== first)
})

test('a child that never stays alive fails for good and says what it printed', async () => {
  let starts = 0
  const failing = spec("console.error('no room left'); process.exit(3)")
  const counted = {
    ...failing,
    start: (signal: AbortSignal) => {
      starts += 1
      return failing.start(signal)
    },
    restart: { ...failing.restart, attemptsMax: 3 },
  }
  await assert.rejects(openSupervised(context, counted), (error) => {
    assert(isRowmillError(error, 'ENGINE_FAILED'))
    assert(error.cause instanceof Error)
    assert.match(error.cause.message, /code 3; it last printed: no room left/)
    return true
  })
  assert.equal(starts, 3)
})

test('a child that has been ready once is never given up, whatever ends it', async () => {
  let starts = 0
  const states: SupervisedState[] = []
  const healthy = spec(sayReady)
  const shaky = spec(sayReady, {
    restart: { attemptsMax: 2, delayMs: 1, delayMaxMs: 1, windowMs: 60_000 },
    onState: (state) => states.push(state),
    start: (signal) => {
      starts += 1
      if (starts === 2) throw new RowmillError('ENGINE_FAILED', 'No room left.')
      if (starts > 2 && starts < 7) return { command: process.execPath, args: ['-e', ''], env: {}, ipc: true }
      return healthy.start(signal)
    },
  })
  await using child = await openSupervised(context, shaky)
  const first = await child.ready()
  process.kill(first, 'SIGKILL')
  await waitFor(() => child.current() !== undefined && child.current() !== first)
  assert.equal(starts, 7)
  assert(!states.includes('failed'))
})

test('an error that cannot heal fails at once', async () => {
  let starts = 0
  const refused = spec(sayReady, {
    start: () => {
      starts += 1
      throw new RowmillError('ENGINE_FAILED', 'The data belongs to a newer version.')
    },
  })
  await assert.rejects(openSupervised(context, refused), /newer version/)
  assert.equal(starts, 1)
})

test('a program that does not exist fails at once', async () => {
  let starts = 0
  const missing = spec('', {
    start: () => {
      starts += 1
      return { command: '/nonexistent/engine', args: [], env: {} }
    },
  })
  await assert.rejects(openSupervised(context, missing), /child cannot be started/)
  assert.equal(starts, 1)
})

test('a child that is not ready in time is killed and counted as failed', async () => {
  const pids: number[] = []
  const slow = spec('setInterval(() => {}, 1000)', {
    readyWithinMs: 50,
    stop: { signal: 'SIGKILL', graceMs: 10_000 },
    restart: { attemptsMax: 2, delayMs: 1, delayMaxMs: 1, windowMs: 60_000 },
    waitReady: async (child, signal) => {
      pids.push(pidOf(child))
      await once(child, 'message', { signal })
      return 0
    },
  })
  await assert.rejects(openSupervised(context, slow), isEngineFailure)
  assert.equal(pids.length, 2)
  assert(pids.every((pid) => !isAlive(pid)))
})

test('a child that ignores the request to stop is killed after the grace', async () => {
  const stubborn = `process.on('SIGTERM', () => {}); ${sayReady}`
  const child = await openSupervised(context, spec(stubborn, { stop: { signal: 'SIGTERM', graceMs: 50 } }))
  const pid = await child.ready()
  await child[Symbol.asyncDispose]()
  assert(!isAlive(pid))
})

test('a child can be stopped by a message', async () => {
  const polite = `process.on('message', (m) => m.stop && process.exit(0)); ${sayReady}`
  const stop = { message: { stop: true }, graceMs: 10_000 }
  const child = await openSupervised(context, spec(polite, { stop }))
  const pid = await child.ready()
  await child[Symbol.asyncDispose]()
  assert(!isAlive(pid))
})

test('an aborted start leaves no child behind', async () => {
  const abort = new AbortController()
  let pid = 0
  const hanging = spec('setInterval(() => {}, 1000)', {
    waitReady: async (child, signal) => {
      pid = pidOf(child)
      abort.abort(new Error('not wanted any more'))
      await once(child, 'message', { signal })
      return 0
    },
  })
  await assert.rejects(openSupervised(context, hanging, { signal: abort.signal }), /not wanted any more/)
  assert(!isAlive(pid))
})

test('what a child prints is logged by line, cut at a length and bounded in number', async () => {
  const logged: { line?: string; level: number }[] = []
  const destination = { write: (text: string) => void logged.push(JSON.parse(text)) }
  const logger = createLogger({ level: 'debug', destination })
  const clock = createManualClock()
  const noisy =
    "console.error('bad: x'); console.error('y'.repeat(9000)); console.error('hush');" +
    "for (let i = 0; i < 1000; i++) console.log('line ' + i); process.stdout.write('end', () => { " +
    `${sayReady} })`
  const lineLevel = (line: string) =>
    line === 'hush' ? undefined : line.startsWith('bad') ? ('error' as const) : ('info' as const)
  const child = await openSupervised({ ...context, logger, clock }, spec(noisy, { lineLevel }))
  await child[Symbol.asyncDispose]()
  const lines = logged.filter((entry) => entry.line !== undefined)
  assert.equal(lines.find((entry) => entry.line === 'bad: x')?.level, 50)
  assert.equal(lines.find((entry) => entry.line?.startsWith('yyy'))?.line?.length, 4000)
  assert(!lines.some((entry) => entry.line === 'hush'))
  assert.equal(lines.length, 200)
})
