/**
 * The stage of a storage among the faults of the simulation: messages whose number decides their fate, a
 * warehouse that fails before and after it has written, and the questions that must have a good answer.
 */
import assert from 'node:assert/strict'
import { createConsumerStage } from '../../src/datasets/consume/consume.ts'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import type { LedgerRow } from '../../src/event/ledger.ts'
import type { LogRecord, NewRecord } from '../../src/ports/log.ts'
import type { Random } from '../../src/ports/random.ts'
import { streamConfig } from '../../src/stream/config.ts'
import type { Stage } from '../../src/stream/stage.ts'
import { quietTelemetry } from '../support/quiet.ts'
import { createNumbersWarehouse, type Fate, numbersStorage, openNumbersRunner } from '../support/storage.ts'
import { createHurriedClock, nextTurn } from './hurried-clock.ts'
import type { SimulatedCommit } from './simulated-log.ts'

export const consumerPartitions = 3
export const consumerTopics = { deadLetters: 'unused-dead', drops: 'drops', ledger: 'ledger' }
export const consumerTopicSpecs = [
  ...['numbers-in', 'numbers-commits', 'numbers-changes', 'numbers-dead'],
  ...Object.values(consumerTopics),
].map((name) => ({ name, partitions: consumerPartitions, retentionMs: 3_600_000 }))

export const consumerStreamConfig = streamConfig.parse({
  batchesInHandMax: 2,
  retryDelayMs: 1,
  retryDelayMaxMs: 20,
  drainMs: 1000,
})

export type ConsumerWorld = {
  stage: Stage
  faults: { fails: number; turnsMax: number }
  nextInputs(count: number): NewRecord[]
  inputs(): number
  forget(from: number): void
  onCommit(commit: SimulatedCommit): void
  verify(recordsOf: (topic: string) => LogRecord[]): void
}

const fates: readonly Fate[] = [
  'row',
  'row',
  'two-rows',
  'skip',
  'row',
  'replacement',
  'invalid',
  'throw',
  'row',
]
const fateOf = (number: number): Fate => fates[number % fates.length] ?? 'row'
const numberOf = ({ value }: { value: Buffer }): number => JSON.parse(value.toString()).number
const byNumber = (a: number, b: number) => a - b

export function createConsumerWorld(random: Random): ConsumerWorld {
  const faults = { fails: 0, turnsMax: 3 }
  const warehouse = createNumbersWarehouse()
  const { insert } = warehouse
  // Fails before the rows are there, or after, when nobody is told.
  warehouse.insert = async (given) => {
    for (let turn = Math.floor(random.next() * (faults.turnsMax + 1)); turn > 0; turn--) await nextTurn()
    const fate = random.next()
    if (fate < faults.fails / 2) throw new RowmillError('WAREHOUSE_UNAVAILABLE', 'Simulated: not written.')
    if (given.body.toString().includes('"number":13,'))
      throw new RowmillError('WAREHOUSE_REFUSED', 'Simulated: 13.', { details: { code: 27, name: 'X' } })
    const answer = await insert(given)
    if (fate > 1 - faults.fails / 2) throw new RowmillError('WAREHOUSE_UNAVAILABLE', 'Simulated: no answer.')
    return answer
  }
  let inputs = 0
  const storage = numbersStorage({
    writer: { ...numbersStorage().writer, rowsMax: 7, waitMs: 1 },
  })
  const ports = { warehouse, clock: createHurriedClock(random), ...quietTelemetry() }
  return {
    faults,
    stage: createConsumerStage(ports, storage, { openRunner: openNumbersRunner }),
    inputs: () => inputs,
    forget: (from) => {
      inputs = from
    },
    nextInputs: (count) =>
      Array.from({ length: count }, () => {
        const number = inputs++
        const value = Buffer.from(JSON.stringify({ number, fate: fateOf(number) }))
        return { topic: 'numbers-in', key: `key-${number % 5}`, value }
      }),
    onCommit({ partition, from, until }) {
      if (until - from < fates.length) return
      const token = `numbers/numbers-in/${partition}/${from}-${until}`
      const isWritten = [...warehouse.written.keys()].some(
        (one) => one === token || one.startsWith(`${token}/`),
      )
      assert(isWritten, 'a batch is settled only after its rows were written')
    },
    verify(recordsOf) {
      const all = Array.from({ length: inputs }, (_, number) => number)
      const fated = (...wanted: Fate[]) => all.filter((number) => wanted.includes(fateOf(number)))
      const numbersOn = (topic: string) => recordsOf(topic).map(numberOf).sort(byNumber)
      const refused = fated('row', 'two-rows').filter((number) => number === 13)
      const rows = [...warehouse.written.values()].flat().map((row) => Number(Object.values(row ?? {})[0]))
      const wanted = [...fated('row', 'two-rows'), ...fated('two-rows')].filter((number) => number !== 13)
      assert.deepEqual(rows.sort(byNumber), wanted.sort(byNumber), 'every row is written once')
      const dead = [...fated('invalid', 'throw'), ...refused].sort(byNumber)
      assert.deepEqual(numbersOn('numbers-dead'), dead, 'every dead letter is kept once')
      assert.deepEqual(numbersOn('numbers-changes'), fated('replacement'), 'every change goes on once')
      assert.equal(recordsOf('drops').length, dead.length, 'what is skipped is counted and has no row')
      verifyLedger(recordsOf)
      verifyCommitLog(recordsOf)
    },
  }
}

function verifyLedger(recordsOf: (topic: string) => LogRecord[]): void {
  const rows = recordsOf('ledger').map(({ value }): LedgerRow => JSON.parse(value.toString()))
  let skipped = 0
  for (let partition = 0; partition < consumerPartitions; partition++) {
    let next = 0
    const own = rows.filter((row) => row.partition === partition)
    for (const row of own.sort((a, b) => a.from_offset - b.from_offset)) {
      assert.equal(row.from_offset, next, 'ledger ranges tile')
      assert.equal(row.in, row.out + row.dropped + row.diverted + row.dead_lettered)
      skipped += row.reasons['skipped_message: not wanted'] ?? 0
      next = row.until_offset
    }
    assert.equal(next, recordsOf('numbers-in').filter((record) => record.partition === partition).length)
  }
  const wanted = recordsOf('numbers-in').filter((record) => fateOf(numberOf(record)) === 'skip')
  assert.equal(skipped, wanted.length, 'what is skipped is counted by why')
}

/** One entry a batch, each further than the one before. */
function verifyCommitLog(recordsOf: (topic: string) => LogRecord[]): void {
  const last = new Map<string, number>()
  for (const { key, value } of recordsOf('numbers-commits')) {
    const { offset }: { offset: number } = JSON.parse(value.toString())
    assert(offset > (last.get(String(key)) ?? 0), 'the commit log goes on')
    last.set(String(key), offset)
  }
  for (let partition = 0; partition < consumerPartitions; partition++) {
    const end = recordsOf('numbers-in').filter((record) => record.partition === partition).length
    assert.equal(last.get(`numbers-in:${partition}:datasets-numbers`) ?? 0, end, 'up to the end')
  }
}
