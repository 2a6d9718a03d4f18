import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCountSums } from './count-sums.ts'

test('adds up by metric and labels, and begins anew when the sums are taken', () => {
  const sums = createCountSums()
  const [spans, logs] = [{ type: 'span' }, { type: 'log' }]
  sums.add('items', 1, spans)
  sums.add('items', 1, logs)
  sums.add('bytes', 10, spans)
  sums.add('items', 2, spans)
  sums.add('items', 5, { type: 'log' })
  assert.deepEqual(sums.take(), [
    { metric: 'items', by: 3, labels: { type: 'span' } },
    { metric: 'items', by: 1, labels: { type: 'log' } },
    { metric: 'items', by: 5, labels: { type: 'log' } },
    { metric: 'bytes', by: 10, labels: { type: 'span' } },
  ])
  assert.deepEqual(sums.take(), [])
})
