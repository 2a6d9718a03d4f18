/** Payloads of errors, transactions and issues become the rows beside them, or end as their names say. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { runBatch } from '../../src/datasets/processor/run-batch.ts'
import { loadBuiltInProcessor } from '../../src/datasets/processors/registry.ts'
import { contextOf, processOne, readPayloads, recordOf } from './golden.ts'

for (const storage of ['errors', 'transactions', 'search_issues']) {
  const create = await loadBuiltInProcessor(storage)
  assert.ok(create)
  suite(storage, () => {
    const payloads = readPayloads(storage)
    test('has payloads', () => {
      assert.ok(payloads.length > 20)
    })
    for (const { name, value, rows } of payloads)
      test(`${name} ${rows === undefined ? 'is refused with its place' : 'becomes its rows'}`, () => {
        const processed = processOne(create, recordOf(value))
        assert.deepEqual(processed.rows, rows ?? [])
        const { ending } = processed
        if (rows === undefined) assert.equal(ending?.kind === 'invalid' && ending.reason, 'invalid_message')
        else if (rows.length === 0) assert.ok(ending?.kind === 'replacement' || ending?.kind === 'skip')
        else assert.equal(ending, undefined)
      })

    test('what a message becomes does not depend on those before it', () => {
      const processor = create(contextOf())
      const values = payloads.map(({ value }) => value)
      for (const order of [values, values.toReversed(), values.toSorted(Buffer.compare)]) {
        const { rows, endings } = runBatch(
          processor,
          order.map((value) => recordOf(value)),
          1,
        )
        const lines = order.map((): string[] => [])
        for (let row = 0; row < (rows[0]?.rows ?? 0); row++)
          lines[rows[0]?.ownerOf(row) ?? -1]?.push(
            rows[0]
              ?.slice(row, row + 1)
              .toString()
              .trimEnd() ?? '',
          )
        for (const [index, value] of order.entries()) {
          const alone = processOne(create, recordOf(value))
          assert.deepEqual(lines[index], alone.lines)
          assert.equal(endings.get(index)?.kind, alone.ending?.kind)
        }
      }
    })
  })
}
