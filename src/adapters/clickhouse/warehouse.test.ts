import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { openTestWarehouse } from '../../../test/support/warehouse.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { warehouseContract } from '../../ports/warehouse.contract.ts'
import { createSystemClock } from '../embedded/clock.ts'
import { createSystemRandom } from '../embedded/random.ts'
import { warehouseConfigSchema } from './config.ts'
import { openWarehouse } from './warehouse.ts'

warehouseContract(openTestWarehouse)

test('an answer that is longer than what the host holds in memory comes whole and in order', async () => {
  await using opened = await openTestWarehouse()
  for (const rows of [10, 40_000, 100_000]) {
    const sql =
      'SELECT toUInt32(number) AS n, repeat(toString(number), 5) AS text FROM numbers({rows:UInt32})'
    const found = await opened.warehouse.query<{ n: number; text: string }>(sql, { parameters: { rows } })
    assert.equal(found.length, rows)
    assert(found.every(({ n, text }, index) => n === index && text === String(index).repeat(5)))
  }
})

test('a Warehouse that was closed is unavailable', async () => {
  await using opened = await openTestWarehouse()
  const { url, user, password, database } = opened
  const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  const config = { ...warehouseConfigSchema.parse({}), url, user, password, database }
  const warehouse = await openWarehouse(ground, config)
  await warehouse[Symbol.asyncDispose]()
  await assert.rejects(warehouse.query('SELECT 1'), (error) => isRowmillError(error, 'WAREHOUSE_UNAVAILABLE'))
})
