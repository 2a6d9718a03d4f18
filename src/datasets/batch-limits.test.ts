import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchLimits, usualLimits } from './batch-limits.ts'
import { datasetsConfig } from './config.ts'
import { readOwnStorages } from './storage/read-storage.ts'

test('a dataset is gathered as its storage says, unless the settings say otherwise; quiet ones have a wait of their own', async () => {
  const writers = new Map((await readOwnStorages()).map(({ name, writer }) => [name, writer]))
  const limitsOf = (name: string, settings: object = {}) =>
    batchLimits(datasetsConfig.parse(settings), writers.get(name) ?? usualLimits)
  assert.deepEqual(limitsOf('events'), { recordsMax: 10_000, bytesMax: 8_388_608, waitMs: 250 })
  assert.deepEqual(limitsOf('events'), limitsOf('session-replay'))
  assert.deepEqual(limitsOf('drops'), { recordsMax: 10_000, bytesMax: 8_388_608, waitMs: 1000 })
  const quiet = [...writers.keys()].filter((name) => limitsOf(name, { quietBatchWaitMs: 7 }).waitMs === 7)
  assert.deepEqual(quiet, ['app-metrics', 'drops', 'ingestion-warnings', 'ledger'])
  const settings = { batchRecordsMax: 60, batchBytesMax: 1000, batchWaitMs: 5 }
  assert.deepEqual(limitsOf('events', settings), { recordsMax: 60, bytesMax: 1000, waitMs: 5 })
  assert.equal(limitsOf('ledger', settings).waitMs, 1000)
})
