/**
 * A consumer of numbers as a process of its own, for the crash test: settings as JSON in the first argument. It
 * kills itself when the given insert is done and before anything of it is settled.
 */
import { warehouseConfigSchema } from '../../src/adapters/clickhouse/config.ts'
import { openWarehouse } from '../../src/adapters/clickhouse/warehouse.ts'
import { embeddedLogConfig } from '../../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../../src/adapters/embedded/log/log.ts'
import { createConsumerStage } from '../../src/datasets/consume/consume.ts'
import type { Warehouse } from '../../src/ports/warehouse.ts'
import { streamConfig } from '../../src/stream/config.ts'
import { runStage } from '../../src/stream/stream.ts'
import { logDeps } from './embedded-log.ts'
import { numbersStorage, openNumbersRunner } from './storage.ts'

const settings: {
  directory: string
  url: string
  user: string
  password: string
  database: string
  batchRows: number
  killAfterInserts: number
} = JSON.parse(process.argv[2] ?? '{}')

const ports = logDeps(settings.directory)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
await using log = await openEmbeddedLog(ports, embeddedLogConfig.parse({}))
await using warehouse = await openWarehouse(ports, { ...warehouseConfigSchema.parse({}), ...settings })

let inserts = 0
const insert: Warehouse['insert'] = async (given) => {
  const answer = await warehouse.insert(given)
  if (++inserts === settings.killAfterInserts) process.kill(process.pid, 'SIGKILL')
  return answer
}
const deadly: Warehouse = {
  database: warehouse.database,
  insert,
  query: (sql, options) => warehouse.query(sql, options),
  stream: (sql, options) => warehouse.stream(sql, options),
  command: (sql, options) => warehouse.command(sql, options),
  [Symbol.asyncDispose]: () => warehouse[Symbol.asyncDispose](),
}

const stage = createConsumerStage({ ...ports, warehouse: deadly }, numbersStorage(), {
  openRunner: openNumbersRunner,
  batch: { recordsMax: settings.batchRows, bytesMax: 1_000_000, waitMs: 0 },
})
await runStage({ ...ports, log }, stage, {
  config: streamConfig.parse({}),
  topics: { deadLetters: 'dead', drops: 'drops', ledger: 'ledger' },
  stop: stop.signal,
  signal: new AbortController().signal,
})
