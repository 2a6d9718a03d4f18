import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import fc from 'fast-check'
import { openTestWarehouse, type TestWarehouse } from '../../../test/support/warehouse.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { parameterText } from './parameters.ts'

suite('parameters', () => {
  let opening: Promise<TestWarehouse> | undefined
  const open = async () => {
    opening ??= openTestWarehouse()
    return (await opening).warehouse
  }
  after(async () => (await opening)?.[Symbol.asyncDispose]())

  test('values of every kind arrive as they are', async () => {
    const warehouse = await open()
    const at = new Date('2026-01-02T03:04:05.678Z')
    const parameters = {
      none: null,
      yes: true,
      big: 9007199254740993n,
      half: -0.5,
      at,
      nested: [['a', null, "it's"], []],
      flags: [true, false],
      map: { "k'1": 1, k2: 2 },
    }
    const [row] = await warehouse.query(
      `SELECT {none:Nullable(String)} AS none, {yes:Bool} AS yes, {big:UInt64} AS big, {half:Float64} AS half,
        toUnixTimestamp64Milli({at:DateTime64(3, 'UTC')}) AS at, {nested:Array(Array(Nullable(String)))} AS nested,
        {flags:Array(Bool)} AS flags, {map:Map(String, UInt8)} AS map`,
      { parameters },
    )
    assert.deepEqual(row, {
      none: null,
      yes: true,
      big: '9007199254740993',
      half: -0.5,
      at: String(at.getTime()),
      nested: [['a', null, "it's"], []],
      flags: [true, false],
      map: { "k'1": 1, k2: 2 },
    })
  })

  test('any text comes back as it was given, alone and in a list', async () => {
    const warehouse = await open()
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 40 }), async (text) => {
        const [row] = await warehouse.query('SELECT {text:String} AS text, {list:Array(String)} AS list', {
          parameters: { text, list: [text, `${text}'`] },
        })
        assert.deepEqual(row, { text, list: [text, `${text}'`] })
      }),
      { numRuns: 60 },
    )
  })

  test('what cannot be a value is refused', () => {
    assert.throws(
      () => parameterText(() => 1),
      (error) => isRowmillError(error, 'WAREHOUSE_REFUSED'),
    )
  })
})
