import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { LosslessValue } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { Output, RowFormat } from '../../processor/processor.ts'
import { createMessage, endOf } from '../../processor/run-message.ts'
import type { TableColumn } from '../../storage/storage.ts'
import { compareEnds } from './compare.ts'

const column = (name: string, type: string, more: Partial<TableColumn> = {}): TableColumn => ({
  name,
  type,
  default: undefined,
  materialized: undefined,
  alias: undefined,
  codec: undefined,
  ttl: undefined,
  ...more,
})

const columns = [
  column('id', 'UInt64'),
  column('size', 'Float64'),
  column('small', 'Nullable(Float32)'),
  column('ratios', 'Map(String, Array(Float64))'),
  column('pair', 'Tuple(a Float64, b UInt8)'),
  column('reason', 'LowCardinality(Nullable(String))'),
  column('dated', 'Nullable(UInt8)', { default: '7' }),
  column('note', 'String'),
  column('tags', 'Nested(key String, share Float32)'),
  column('time', 'DateTime64(3)'),
  column('twice', 'UInt64', { materialized: 'id * 2' }),
]

function made(act: (output: Output) => void, format: RowFormat = 'JSONEachRow') {
  const process = (_: unknown, output: Output) => act(output)
  return { format, end: endOf({ process }, createMessage({ value: '' }), 2) }
}

function difference(left: (output: Output) => void, right: (output: Output) => void, ignore: string[] = []) {
  const options = { tables: [{ columns }, { columns: [] }], ignore: new Set(ignore) }
  return compareEnds(made(left), made(right), options)
}

const row =
  (fields: Record<string, LosslessValue>, table = 0) =>
  (output: Output) =>
    output.row(fields, table)
const text = (json: string) => (output: Output) => output.text(json)

suite('two rows', () => {
  const areSame = (left: string, right: string) => {
    const found = difference(text(left), text(right))
    assert.equal(found, undefined, JSON.stringify(found))
  }
  const differ = (left: string, right: string, expected: [path: string, left: string, right: string]) => {
    const found = difference(text(left), text(right))
    assert.deepEqual(found && [found.path, found.left, found.right], expected)
  }

  test('are the same whatever the order of their keys', () => {
    areSame(
      '{"id":1,"note":"a","ratios":{"x":[],"y":[1]}}',
      '{"ratios":{"y":[1],"x":[]},"note":"\\u0061","id":1}',
    )
  })

  test('differ where an integer is a float, but not in a column of floats', () => {
    differ('{"id":1}', '{"id":1.0}', ['row[0].id', '1', '1.0'])
    differ('{"other":1}', '{"other":1.0}', ['row[0].other', '1', '1.0'])
    differ('{"pair":[1,1]}', '{"pair":[1.0,1.0]}', ['row[0].pair[1]', '1', '1.0'])
    areSame('{"size":1,"small":1e3}', '{"size":1.0,"small":1000}')
    areSame('{"ratios":{"a":[1,2.5]}}', '{"ratios":{"a":[1.0,2.5]}}')
    areSame('{"pair":{"a":1,"b":2}}', '{"pair":{"a":1.0,"b":2}}')
    areSame('{"tags.share":[1]}', '{"tags.share":[1.0]}')
    areSame('{"small":0.1}', '{"small":0.10000000149011612}')
    differ('{"size":0.1}', '{"size":0.10000000149011612}', ['row[0].size', '0.1', '0.10000000149011612'])
    differ('{"size":0.0}', '{"size":-0.0}', ['row[0].size', '0.0', '-0.0'])
  })

  test('differ by one at the end of 64 bits', () => {
    areSame('{"id":18446744073709551615}', '{"id":18446744073709551615}')
    differ('{"id":18446744073709551615}', '{"id":18446744073709551614}', [
      'row[0].id',
      '18446744073709551615',
      '18446744073709551614',
    ])
    differ('{"id":9007199254740993}', '{"id":9007199254740992}', [
      'row[0].id',
      '9007199254740993',
      '9007199254740992',
    ])
  })

  test('differ where a field is left out, unless it becomes null all the same', () => {
    areSame('{"id":1,"reason":null,"small":null}', '{"id":1}')
    differ('{"id":1}', '{"id":1,"dated":null}', ['row[0].dated', 'left out', 'null'])
    differ('{"id":1}', '{"id":1,"note":""}', ['row[0].note', 'left out', '""'])
    differ('{"id":1,"note":null}', '{"id":1}', ['row[0].note', 'null', 'left out'])
    differ('{"ratios":{"a":null}}', '{"ratios":{}}', ['row[0].ratios.a', 'null', 'left out'])
  })

  test('differ in the length of an array, in a text, in a kind of value', () => {
    differ('{"ratios":{"a b":[1]}}', '{"ratios":{"a b":[1,2]}}', ['row[0].ratios["a b"][1]', 'left out', '2'])
    differ('{"note":"1"}', '{"note":1}', ['row[0].note', '"1"', '1'])
    differ('{"note":[]}', '{"note":{}}', ['row[0].note', '[]', '{}'])
    differ('{"note":"\\u00e9"}', '{"note":"e\\u0301"}', ['row[0].note', '"\\u00e9"', '"e\\u0301"'])
  })

  test('that ClickHouse would not take differ from every other', () => {
    for (const wrong of ['{"id":1', '{"id":1,"id":2}', '[1]', '{"id":1}\n{}', '{"note":"\\ud800"}'])
      assert.match(difference(text(wrong), text('{"id":1}'))?.left ?? '', /cannot be read/, wrong)
    areSame('{"ratios":{"id":[]},"id":1}', '{"id":1,"ratios":{"id":[]}}')
  })

  test('are compared without the ignored columns, and in their order and table', () => {
    assert.equal(difference(text('{"id":1,"note":"a"}'), text('{"id":1,"note":"b"}'), ['note']), undefined)
    assert.equal(difference(row({ a: 1 }), row({ a: 1 }, 1))?.path, 'row[0]')
    const two = (output: Output) => {
      output.row({ id: 1 })
      output.row({ id: 2 })
    }
    assert.deepEqual(difference(row({ id: 1 }), two), { path: 'rows', left: '1 rows', right: '2 rows' })
    assert.equal(difference(two, two), undefined)
  })
})

suite('two endings', () => {
  const fail = (error: unknown) => () => {
    throw error
  }

  test('are the same if their kind is, whatever the words', () => {
    assert.equal(
      difference(
        (output) => output.skip('a'),
        () => undefined,
      ),
      undefined,
    )
    assert.equal(
      difference(fail(new InvalidMessage('a', { path: 'x' })), fail(new TypeError('b'))),
      undefined,
    )
  })

  test('differ in their kind, in being silent, in the key of a replacement', () => {
    const found = difference(row({ id: 1 }), fail(new InvalidMessage('no', { path: 'id' })))
    assert.deepEqual(found, { path: 'ending', left: '1 rows: {"id":1}', right: 'invalid_message at id: no' })
    assert.equal(difference(fail(new Error()), (output) => output.skip('a'))?.path, 'ending')
    const silent = fail(new InvalidMessage('a', { isSilent: true }))
    assert.equal(difference(silent, fail(new InvalidMessage('a')))?.path, 'ending')
    const key = (word: string) => (output: Output) => output.replacement(word)
    assert.equal(difference(key('1'), key('1')), undefined)
    assert.equal(difference(key('1'), key('2'))?.path, 'replacement.key')
  })
})

suite('rows of two formats', () => {
  /** A row of the columns before `twice`, in RowBinary. */
  const binaryRow = (reason: string | null) => {
    const number = (bytes: number, value: bigint) =>
      Buffer.from(Array.from({ length: bytes }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn)))
    const double = (value: number) => Buffer.from(new Float64Array([value]).buffer)
    const string = (value: string) => Buffer.concat([number(1, BigInt(value.length)), Buffer.from(value)])
    return Buffer.concat([
      number(8, 2n ** 64n - 1n),
      double(1),
      number(1, 1n),
      Buffer.concat([number(1, 1n), string('a'), number(1, 1n), double(2.5)]),
      Buffer.concat([double(3), number(1, 4n)]),
      reason === null ? number(1, 1n) : Buffer.concat([number(1, 0n), string(reason)]),
      Buffer.concat([number(1, 0n), number(1, 7n)]),
      string(''),
      number(1, 0n),
      number(8, 1_700_000_000_123n),
    ])
  }
  const compared = columns.map((one) => (one.name === 'tags' ? column('tags.share', 'Array(Float32)') : one))
  const compare = (binary: Buffer, json: string) =>
    compareEnds(
      made((output) => output.binary(binary), 'RowBinary'),
      made((output) => output.text(json)),
      { tables: [{ columns: compared }], ignore: new Set() },
    )
  const json = (reason: string) =>
    `{"id":18446744073709551615,"size":1,"ratios":{"a":[2.5]},"pair":[3,4],${reason}"dated":7,"time":"2023-11-14 22:13:20.123"}`

  test('agree when ClickHouse would store the same', () => {
    assert.equal(compare(binaryRow(null), json('')), undefined)
    assert.equal(compare(binaryRow('x'), json('"reason":"x",')), undefined)
    assert.equal(compare(binaryRow('x'), json('"reason":"y",'))?.path, 'row[0].reason')
    assert.equal(compare(binaryRow(null), json('').replace('.123', '.124'))?.path, 'row[0].time')
  })

  test('with bytes too few or too many are a difference', () => {
    assert.match(compare(binaryRow(null).subarray(0, -1), json(''))?.left ?? '', /ends 1 bytes too early/)
    assert.match(
      compare(Buffer.concat([binaryRow(null), Buffer.alloc(2)]), json(''))?.left ?? '',
      /2 bytes follow/,
    )
  })
})
