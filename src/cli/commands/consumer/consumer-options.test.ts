import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema } from '../../../platform/config/config.ts'
import { loadConfig } from '../../../platform/config/load.ts'
import { runCli } from '../../cli.ts'
import { UsageError } from '../../command.ts'
import { consumerOptions, consumerSettings } from './consumer-options.ts'

const configOf = (options: Parameters<typeof consumerSettings>[0]) =>
  loadConfig(configSchema, { environment: {}, flags: consumerSettings(options) }).config

test("the options of Snuba's consumer become settings", () => {
  const { consumer, roles, logLevel } = configOf({
    storage: ['errors', 'outcomes_raw'],
    'consumer-group': 'mine',
    'auto-offset-reset': 'error',
    'no-strict-offset-reset': true,
    'raw-events-topic': 'raw',
    'max-batch-size': '500',
    'max-batch-time-ms': '70',
    'log-level': 'warn',
    concurrency: '3',
    'clickhouse-concurrency': '4',
    processor: 'built-in',
    'group-instance-id': 'me',
    'max-dlq-buffer-length': '90',
    'health-check-file': '/tmp/h',
    'enforce-schema': true,
    'stop-at-timestamp': '1700000000',
    'exit-when-done': true,
    'quantized-rebalance-consumer-group-delay-secs': '15',
    'join-timeout-ms': '10',
    'skip-write': true,
    'no-create-tables': true,
  })
  assert.deepEqual([roles, logLevel, consumer.processor.kind], [['consumer'], 'warn', 'built-in'])
  assert.partialDeepStrictEqual(consumer, {
    storages: ['errors', 'outcomes_raw'],
    storageFiles: [],
    storageFolders: [],
    group: 'mine',
    offsetReset: 'error',
    isOffsetResetStrict: false,
    rawTopic: 'raw',
    batchRecordsMax: 500,
    batchWaitMs: 70,
    concurrency: 3,
    batchesInHandMax: 4,
    instanceId: 'me',
    deadLetterBufferRecordsMax: 90,
    healthFile: '/tmp/h',
    isSchemaEnforced: true,
    schemaChecksPerBatchMax: 1000,
    stopAtSeconds: 1_700_000_000,
    endsWhenDone: true,
    rebalanceDelaySeconds: 15,
    drainMs: 10,
    isWriteSkipped: true,
    createsTables: false,
    topicPartitions: 1,
  })
})

test('a batch is counted in messages or in bytes, and a dry run has a time', () => {
  const bytes = configOf({ 'max-batch-size': '9000', 'max-batch-size-calculation': 'bytes' }).consumer
  assert.deepEqual([bytes.batchBytesMax, bytes.batchRecordsMax], [9000, 1_000_000])
  assert.equal(configOf({ 'dry-run': true }).consumer.dryRunMs, 50)
  assert.equal(configOf({ 'dry-run-ms': '7' }).consumer.dryRunMs, 7)
  assert.throws(() => configOf({ 'max-batch-size-calculation': 'x' }), UsageError)
  assert.throws(() => configOf({ 'group-instance-id': '  ' }), /consumer\.instanceId/)
})

test('options without a meaning are refused with a sentence, and the help does not show them', async () => {
  const run = async (...words: string[]) => {
    const printed = { out: '', err: '' }
    const code = await runCli({
      arguments: ['consumer', ...words],
      environment: {},
      signal: new AbortController().signal,
      terminal: {
        out(text) {
          printed.out += text
        },
        err(text) {
          printed.err += text
        },
        isInteractive: false,
        hasColour: false,
        columns: 100,
      },
    })
    return { code, ...printed }
  }
  const refused = Object.entries(consumerOptions).filter(([, { refusal }]) => refusal !== undefined)
  assert.ok(refused.length > 15)
  const { out } = await run('--help')
  for (const [name, { refusal }] of refused) {
    const { code, err } = await run(`--${name}`, '--storage', 'errors')
    assert.equal(code, 2)
    assert.ok(err.startsWith(`--${name} has no meaning here. ${refusal}\n`), err)
    assert.ok(!out.includes(`--${name} `))
  }
  assert.match((await run()).err, /Which storage\?/)
})
