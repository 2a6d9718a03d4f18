import assert from 'node:assert/strict'
import { test } from 'node:test'
import { activeMsOf, addSnapshot, createSnapshotFacts } from './snapshot-facts.ts'

const at = (timestamp: unknown, data: object = {}, type = 3) => ({ timestamp, type, data })

function factsOf(events: readonly Record<string, unknown>[]) {
  const facts = createSnapshotFacts()
  const timed = events.map((event) => addSnapshot(facts, event, { urlsMax: 2 }))
  return { facts, timed }
}

test('events without a usable time are not counted', () => {
  const { facts, timed } = factsOf([at('1'), at(Number.NaN), at(1e20), at(-1), at(0), at(5)])
  assert.deepEqual(timed, [false, false, false, false, false, true])
  assert.equal(facts.eventCount, 1)
  assert.equal(facts.firstMs, 5)
})

test('pauses of more than five seconds are not active time, in whatever order the events come', () => {
  const { facts } = factsOf([9000, 1000, 3000, 20_000, 21_000, 8000].map((ms) => at(ms, { source: 1 })))
  assert.equal(activeMsOf(facts), 2000 + 5000 + 1000 + 1000)
})

test('the first address is the earliest one, and only so many are kept', () => {
  const href = (ms: number, url: string) => at(ms, { href: url }, 4)
  const page = at(40, { tag: '$pageview', payload: { href: 'd' } }, 5)
  const { facts } = factsOf([href(30, 'c'), href(10, 'a'), href(20, 'b'), page])
  assert.deepEqual(facts.firstUrl, { url: 'a', atMs: 10 })
  assert.deepEqual([...facts.urls], ['c', 'a'])
})

test('console lines count by their level', () => {
  const line = (level: string) => at(1, { plugin: 'rrweb/console@1', payload: { level } }, 6)
  const { facts } = factsOf(['log', 'info', 'warn', 'error', 'assert'].map(line))
  assert.deepEqual([facts.consoleLogCount, facts.consoleWarnCount, facts.consoleErrorCount], [2, 1, 2])
})
