/**
 * A stage whose every record has a fate that its number decides, an outside store that it writes to by the
 * batch's range, and the questions that must have a good answer afterwards, whatever happened in between.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import type { LedgerRow } from '../../src/event/ledger.ts'
import type { LogBatch, LogRecord, NewRecord } from '../../src/ports/log.ts'
import type { Random } from '../../src/ports/random.ts'
import type { StreamConfig } from '../../src/stream/config.ts'
import { streamConfig } from '../../src/stream/config.ts'
import type { Outcome } from '../../src/stream/outcome.ts'
import type { Stage } from '../../src/stream/stage.ts'
import { nextTurn } from './hurried-clock.ts'
import type { SimulatedCommit } from './simulated-log.ts'

export const worldTopics = { deadLetters: 'dead', drops: 'drops', ledger: 'ledger' }
export const worldGroup = 'stage'
export const inputPartitions = 3

export const worldTopicSpecs = ['in', 'out', 'aside', 'dead', 'drops', 'ledger'].map((name) => ({
  name,
  partitions: inputPartitions,
  retentionMs: 3_600_000,
}))

export const worldConfig: StreamConfig = streamConfig.parse({
  batchRecordsMax: 7,
  batchWaitMs: 1,
  batchesInHandMax: 2,
  retryDelayMs: 1,
  retryDelayMaxMs: 20,
  drainMs: 1000,
})

export type World = {
  stage: Stage
  /** How likely a batch fails for a while, and how many turns it may take. */
  faults: { fails: number; turnsMax: number }
  nextInputs(count: number): NewRecord[]
  inputs(): number
  /** Gives the numbers from `from` on out again: their append failed. */
  forget(from: number): void
  onCommit(commit: SimulatedCommit): void
  verify(recordsOf: (topic: string) => LogRecord[]): void
}

export function createWorld(random: Random): World {
  let inputs = 0
  /** Token to the numbers written with it: a second write with the same token changes nothing. */
  const store = new Map<string, number[]>()
  const open = new Set<string>()
  const faults = { fails: 0, turnsMax: 3 }

  const process = async (batch: LogBatch) => {
    for (let turn = Math.floor(random.next() * (faults.turnsMax + 1)); turn > 0; turn--) await nextTurn()
    const fate = random.next()
    if (fate < faults.fails / 2) throw new RowmillError('WAREHOUSE_UNAVAILABLE', 'Simulated: not written.')
    const token = `${batch.partition}/${batch.from}-${batch.until}`
    const numbers = batch.records.filter((record) => fateOf(numberOf(record)) === 'next').map(numberOf)
    if (!store.has(token)) store.set(token, numbers)
    if (fate > 1 - faults.fails / 2) throw new RowmillError('WAREHOUSE_UNAVAILABLE', 'Simulated: no answer.')
    return { outcomes: batch.records.map(outcomeOf) }
  }

  return {
    faults,
    inputs: () => inputs,
    forget: (from) => {
      inputs = from
    },
    nextInputs: (count) =>
      Array.from({ length: count }, () => {
        const number = inputs++
        return { topic: 'in', key: keyOf(number), value: Buffer.from(JSON.stringify({ number })) }
      }),
    stage: {
      group: worldGroup,
      topics: ['in'],
      async openPartition({ partition }) {
        const name = String(partition)
        assert(!open.has(name), 'a partition is open once at most')
        open.add(name)
        return {
          process,
          async [Symbol.asyncDispose]() {
            open.delete(name)
          },
        }
      },
    },
    onCommit({ partition, from, until }) {
      assert(store.has(`${partition}/${from}-${until}`), 'a batch is settled only after it was written')
    },
    verify: (recordsOf) => verifyWorld({ inputs, store, open }, recordsOf),
  }
}

function verifyWorld(
  world: { inputs: number; store: ReadonlyMap<string, number[]>; open: ReadonlySet<string> },
  recordsOf: (topic: string) => LogRecord[],
): void {
  const all = Array.from({ length: world.inputs }, (_, number) => number)
  const fated = (fate: string) => all.filter((number) => fateOf(number) === fate)
  const numbersOn = (topic: string) => recordsOf(topic).map(numberOf).sort(byNumber)
  assert.deepEqual(numbersOn('out'), fated('next'), 'every record that goes on does so once')
  assert.deepEqual(numbersOn('aside'), fated('divert'), 'every diverted record arrives once')
  assert.deepEqual(numbersOn('dead'), fated('dead-letter'), 'every dead letter is kept once')
  assert.equal(recordsOf('drops').length, fated('drop').length + fated('dead-letter').length)
  assert.deepEqual([...world.store.values()].flat().sort(byNumber), fated('next'), 'written elsewhere once')
  assert.equal(world.open.size, 0, 'no partition is left open')
  verifyOrder(recordsOf('out'))
  verifyLedger(recordsOf('in'), recordsOf('ledger'))
}

function verifyOrder(records: readonly LogRecord[]): void {
  const last = new Map<string, number>()
  for (const record of records) {
    const key = String(record.key)
    const number = numberOf(record)
    assert(number > (last.get(key) ?? -1), `the order of key ${key} holds`)
    last.set(key, number)
  }
}

function verifyLedger(inputs: readonly LogRecord[], rows: readonly LogRecord[]): void {
  const ledger = rows.map(({ value }): LedgerRow => JSON.parse(value.toString()))
  for (let partition = 0; partition < inputPartitions; partition++) {
    const own = ledger
      .filter((row) => row.partition === partition)
      .sort((a, b) => a.from_offset - b.from_offset)
    let next = 0
    for (const row of own) {
      assert.equal(row.from_offset, next, 'ledger ranges tile')
      assert.equal(row.in, row.out + row.dropped + row.diverted + row.dead_lettered)
      next = row.until_offset
    }
    assert.equal(next, inputs.filter((record) => record.partition === partition).length)
  }
}

function outcomeOf(record: LogRecord): Outcome {
  const number = numberOf(record)
  switch (fateOf(number)) {
    case 'next':
      return { kind: 'next', records: [{ topic: 'out', key: record.key, value: record.value }] }
    case 'drop':
      return { kind: 'drop', reason: 'duplicate' }
    case 'divert':
      return { kind: 'divert', topic: 'aside', reason: 'overflow', keepKey: false }
    default:
      return { kind: 'dead-letter', reason: 'invalid_message', error: new Error(`number ${number}`) }
  }
}

function fateOf(number: number): Outcome['kind'] {
  if (number % 11 === 3) return 'drop'
  if (number % 11 === 5) return 'divert'
  return number % 11 === 7 ? 'dead-letter' : 'next'
}

const keyOf = (number: number) => `key-${number % 5}`
const byNumber = (a: number, b: number) => a - b
const numberOf = ({ value }: { value: Buffer }): number => JSON.parse(value.toString()).number
