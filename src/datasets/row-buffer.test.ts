import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRowBuffer, createRowBufferFrom } from './row-buffer.ts'

function filled(rows: readonly string[], bytesExpected = 0) {
  const buffer = createRowBuffer(bytesExpected)
  for (const [owner, row] of rows.entries()) buffer.addText(owner, row)
  return buffer
}

test('a row goes in whole and any run of rows comes out', () => {
  const buffer = createRowBuffer(0)
  buffer.addText(0, '{"a":"ä"}')
  buffer.addSpliced(1, Buffer.from('{"b":1}'), ',"c":2}')
  buffer.addBytes(4, Buffer.from([1, 2]))
  assert.equal(buffer.rows, 3)
  assert.equal(buffer.slice(0, 2).toString(), '{"a":"ä"}\n{"b":1,"c":2}\n')
  assert.deepEqual([...buffer.slice(2, 3)], [1, 2])
  assert.deepEqual([0, 1, 2, 3].map(buffer.ownerOf), [0, 1, 4, -1])
  buffer.cut(1)
  buffer.addText(7, '{}')
  assert.equal(buffer.slice(0, 9).toString(), '{"a":"ä"}\n{}\n')
  assert.equal(buffer.ownerOf(1), 7)
})

test('the parts of a buffer can be transferred and make the same buffer again', () => {
  for (const bytesExpected of [0, 100_000]) {
    const rows = Array.from({ length: 300 }, (_, index) => `{"n":${index}}`)
    const parts = filled(rows, bytesExpected).parts()
    const moved = structuredClone(parts, {
      transfer: [parts.bytes.buffer, parts.starts.buffer, parts.owners.buffer],
    })
    assert.equal(parts.bytes.length, 0, 'it was moved, not copied')
    const again = createRowBufferFrom([{ ...moved, firstOwner: 0 }])
    assert.equal(again.slice(0, 300).toString(), `${rows.join('\n')}\n`)
    assert.equal(again.slice(299, 300).toString(), '{"n":299}\n')
    assert.equal(again.ownerOf(299), 299)
  }
})

test('several buffers are joined in their order, owners counted on', () => {
  const first = { ...filled(['{"a":1}', '{"a":2}']).parts(), firstOwner: 0 }
  const none = { ...filled([]).parts(), firstOwner: 2 }
  const last = { ...filled(['{"a":3}']).parts(), firstOwner: 5 }
  const joined = createRowBufferFrom([first, none, last])
  assert.equal(joined.slice(0, 3).toString(), '{"a":1}\n{"a":2}\n{"a":3}\n')
  assert.equal(joined.slice(2, 3).toString(), '{"a":3}\n')
  assert.deepEqual([0, 1, 2].map(joined.ownerOf), [0, 1, 5])
  assert.equal(createRowBufferFrom([]).rows, 0)
})
