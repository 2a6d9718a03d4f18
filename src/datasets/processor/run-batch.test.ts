import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ColumnRows } from './columns/columns.ts'
import { readNative } from './columns/read-native.ts'
import { InvalidMessage } from './invalid-message.ts'
import type { MessageProcessor, Output } from './processor.ts'
import { type ProcessedBatch, runBatch } from './run-batch.ts'
import { createMessage, runMessage } from './run-message.ts'

/** A number and its text in two columns, after `behaviour`. */
function createByColumns(behaviour: (n: number, output: Output, rows: ColumnRows) => boolean = () => true) {
  const rows = new ColumnRows()
  const number = rows.u32('number')
  const words = rows.texts('words')
  const processor: MessageProcessor = {
    columns: [rows],
    process({ value }, output) {
      const n = Number(value.toString())
      number.put(n)
      words.items.put(`word ${n}`)
      if (!behaviour(n, output, rows)) return
      words.end()
      output.endRow()
    },
  }
  return { processor, number, words }
}

const messages = (count: number) => Array.from({ length: count }, (_, n) => createMessage({ value: `${n}` }))
const numbersOf = ({ rows }: ProcessedBatch) =>
  rows.flatMap((buffer) => readNative(buffer.slice(0, buffer.rows)).map(({ number }) => Number(number)))
const endingsOf = ({ endings }: ProcessedBatch) =>
  [...endings].map(([index, ending]) => [index, 'reason' in ending ? ending.reason : ending.kind])

suite('a processor that writes by columns', () => {
  test('gives one block a batch, and none of its rows to the next', () => {
    const { processor } = createByColumns()
    const batch = runBatch(processor, messages(3), 1)
    assert.deepEqual(batch.rows[0]?.columns, ['number', 'words'])
    assert.deepEqual([0, 1, 2, 3].map(batch.rows[0].ownerOf), [0, 1, 2, -1])
    assert.deepEqual(readNative(batch.rows[0].slice(1, 3)), [
      { number: 1n, words: ['word 1'] },
      { number: 2n, words: ['word 2'] },
    ])
    assert.deepEqual(numbersOf(runBatch(processor, messages(2), 1)), [0, 1])
    assert.deepEqual(numbersOf(runBatch(processor, [], 1)), [])
    assert.deepEqual(numbersOf(batch), [0, 1, 2], 'a later batch takes nothing from it')
  })

  test('takes back what a message added before it failed, was skipped, or was left unended', () => {
    const { processor } = createByColumns((n, output) => {
      if (n === 1) throw new InvalidMessage('no')
      if (n === 2) output.skip('two')
      return n !== 2 && n !== 3
    })
    const batch = runBatch(processor, messages(5), 1)
    assert.deepEqual(numbersOf(batch), [0, 4])
    assert.deepEqual(endingsOf(batch), [
      [1, 'invalid_message'],
      [2, 'two'],
      [3, 'no rows'],
    ])
    assert.deepEqual(
      readNative(batch.rows[0]?.slice(0, 2) ?? Buffer.alloc(0)).map(({ words }) => words),
      [['word 0'], ['word 4']],
    )
  })

  test('loses a message whose row has no value in a column, or two, or is no row of columns', () => {
    const { processor, number, words } = createByColumns((n, output) => {
      if (n === 1) output.endRow()
      if (n === 2) number.put(7)
      if (n === 3) output.row({ number: 3 })
      if (n === 4) output.endRow(1)
      if (n === 5) {
        words.end()
        output.endRow()
        number.put(5)
        words.items.put('loose')
      }
      return n !== 5
    })
    const batch = runBatch(processor, messages(7), 1)
    assert.deepEqual(numbersOf(batch), [0, 5, 6], 'what follows the end of a row is taken back')
    const told = [...batch.endings.values()].map((ending) =>
      ending.kind === 'invalid' ? ending.message : '',
    )
    assert.equal(told.length, 4)
    assert.match(told[0] ?? '', /column words got 0 values/)
    assert.match(told[1] ?? '', /column number got 2 values/)
    assert.match(told[2] ?? '', /has columns, and added a row of the other kind/)
    assert.match(told[3] ?? '', /has 1 tables; the processor wrote to 1/)
    const [, row] = readNative(batch.rows[0]?.slice(1, 3) ?? Buffer.alloc(0))
    assert.deepEqual(row, { number: 6n, words: ['word 6'] })
  })

  test('must have columns for each table of the storage', () => {
    assert.throws(() => runBatch(createByColumns().processor, messages(1), 2), /has 2 tables/)
    const row: MessageProcessor = { process: (_, output) => output.endRow() }
    const ending = runBatch(row, messages(1), 1).endings.get(0)
    assert.match(ending?.kind === 'invalid' ? ending.message : '', /has no columns/)
  })

  test('shows its rows as values in a test', () => {
    const end = runMessage(() => createByColumns().processor, { value: '12' }, { format: 'Native' })
    assert.deepEqual(
      end.rows.map(({ row }) => row),
      [{ number: 12n, words: ['word 12'] }],
    )
  })
})
