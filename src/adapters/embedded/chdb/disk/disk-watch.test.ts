import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../../../../../test/support/wait-for.ts'
import { createSystemClock } from '../../clock.ts'
import type { Engine } from '../engine.ts'
import { failure } from '../failure.ts'
import { openDiskWatch } from './disk-watch.ts'

const config = { freeBytesMin: 1000, freeShareMax: 0.1, diskCheckIntervalMs: 10, damageMsMax: 1e9 }
const noSpace = { codeName: 'NOT_ENOUGH_SPACE' }

/** A watch over an engine whose failed writes and a disk whose room the test decides. */
async function openTestWatch(settings: Partial<typeof config> = {}) {
  const world = { failedWrites: 0, freeBytes: 5000, totalBytes: 1e6, ends: 0, said: [] as string[] }
  const steered: string[] = []
  const engine: Engine = {
    connect: () => ({
      async read(sql) {
        if (sql.startsWith('SYSTEM')) steered.push(sql)
        const text = sql.includes('system.events') && world.failedWrites > 0 ? `${world.failedWrites}\n` : ''
        return { bytes: Buffer.from(text), elapsed: 0, rowsRead: 0, bytesRead: 0 }
      },
      write: () => Promise.reject(new Error('Nothing is written here.')),
      async [Symbol.asyncDispose]() {},
    }),
    async [Symbol.asyncDispose]() {},
  }
  const watch = await openDiskWatch(
    {
      engine,
      clock: createSystemClock(),
      room: async () => ({ freeBytes: world.freeBytes, totalBytes: world.totalBytes }),
      report: (line) => void world.said.push(line),
      end: () => void world.ends++,
    },
    { ...config, ...settings },
  )
  return { world, steered, watch, [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose]() }
}

test('merges stop while there is room for inserts, which are refused with little left, and both go on', async () => {
  await using own = await openTestWatch()
  const { world, steered, watch } = own
  await watch.admit()
  assert.equal(steered.length, 0)
  world.freeBytes = 1999
  await waitFor(() => steered.includes('SYSTEM STOP MERGES'))
  await watch.admit()
  world.freeBytes = 999
  await assert.rejects(watch.admit(), noSpace)
  world.freeBytes = 2000
  await watch.admit()
  assert.equal(steered.length, 1)
  world.freeBytes = 2500
  await waitFor(() => steered.includes('SYSTEM START MERGES'))
  await watch.confirm()
  assert.equal(world.ends, 0)
})

test('a small disk keeps a share free, not more', async () => {
  await using own = await openTestWatch()
  own.world.totalBytes = 4000
  own.world.freeBytes = 400
  await own.watch.admit()
  own.world.freeBytes = 399
  await assert.rejects(own.watch.admit(), noSpace)
})

test('after a failed write nothing is confirmed or begun, and the host ends when there is room', async () => {
  await using own = await openTestWatch()
  const { world, steered, watch } = own
  const broken = failure('INCORRECT_DATA', 'Cannot read')
  assert.equal(watch.explain(broken), broken)
  world.freeBytes = 0
  world.failedWrites = 3
  await assert.rejects(watch.confirm(), noSpace)
  await assert.rejects(watch.admit(), noSpace)
  assert.equal(watch.explain(broken).codeName, 'NOT_ENOUGH_SPACE')
  assert.equal(watch.explain(failure('SYNTAX_ERROR', 'Syntax error')).codeName, 'SYNTAX_ERROR')
  await waitFor(() => steered.includes('SYSTEM STOP MERGES'))
  assert.equal(world.ends, 0)
  world.freeBytes = 5000
  await waitFor(() => world.ends > 0)
  assert.ok(!steered.includes('SYSTEM START MERGES'))
})

test('a disk that stays full is not waited for until the sources of a broken merge are gone', async () => {
  await using own = await openTestWatch({ damageMsMax: 50 })
  own.world.freeBytes = 0
  own.world.failedWrites = 1
  await waitFor(() => own.world.ends > 0)
})
