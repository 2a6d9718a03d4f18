/**
 * The options of Snuba's consumer by their names, each a setting under `consumer`. Those that mean nothing here
 * are refused with a sentence, so that nobody believes in them.
 */
import { resolve } from 'node:path'
import { type CommandContext, type OptionSpec, UsageError } from '../../command.ts'

type Setting = OptionSpec & {
  /** Below `consumer`, unless it begins elsewhere. */
  setting: string
  /** From the option's text to the setting's. */
  convert?: (text: string) => string
}

const text = (setting: string, placeholder: string, description: string): Setting => ({
  kind: 'text',
  setting: `consumer.${setting}`,
  placeholder,
  description,
})
const flag = (setting: string, value: 'true' | 'false', description: string): Setting => ({
  kind: 'flag',
  setting: `consumer.${setting}`,
  convert: () => value,
  description,
})
const path = (setting: string, placeholder: string, description: string): Setting => ({
  ...text(setting, placeholder, description),
  convert: (file) => resolve(file),
})

const settings = {
  storage: { ...text('storages', 'name', 'A storage to fill; may be repeated.'), kind: 'list' },
  'storage-file': {
    ...text('storageFiles', 'file', "A YAML file of a storage beside the program's own; may be repeated."),
    kind: 'list',
  },
  'storage-folder': {
    ...text('storageFolders', 'folder', 'A folder of such files; may be repeated.'),
    kind: 'list',
  },
  'consumer-group': text('group', 'name', 'Consumer group (default datasets-<storage>).'),
  'auto-offset-reset': text(
    'offsetReset',
    'where',
    'Where a new group begins: earliest (default), latest or error.',
  ),
  'no-strict-offset-reset': flag(
    'isOffsetResetStrict',
    'false',
    'Go on where the log begins when the position is no longer there.',
  ),
  'raw-events-topic': text('rawTopic', 'topic', "Read this topic instead of the storage's."),
  'commit-log-topic': text('commitLogTopic', 'topic', 'Write the commit log to this topic.'),
  'replacements-topic': text('replacementTopic', 'topic', 'Write replacements to this topic.'),
  'max-batch-time-ms': text('batchWaitMs', 'ms', 'How long an insert waits to fill.'),
  'log-level': { ...text('', 'level', 'How much is logged.'), setting: 'logLevel' },
  concurrency: text('concurrency', 'n', 'Threads that run the processor (default 1).'),
  'clickhouse-concurrency': text(
    'batchesInHandMax',
    'n',
    'Batches of different partitions written side by side (default 2).',
  ),
  processor: {
    ...text('processor.kind', 'built-in|user', 'Insist on one kind of processor.'),
  },
  'processor-module': path(
    'processor.module',
    'file',
    "A user's processor instead of the one in the storage's YAML.",
  ),
  'group-instance-id': text('instanceId', 'name', 'Static membership, for Kafka.'),
  'max-dlq-buffer-length': text(
    'deadLetterBufferRecordsMax',
    'n',
    'Most messages of a partition held until they are settled; makes smaller inserts.',
  ),
  'health-check-file': path('healthFile', 'file', 'Touched once a second while the work gets on.'),
  'enforce-schema': flag(
    'isSchemaEnforced',
    'true',
    'Messages that do not match the JSON Schema become dead letters.',
  ),
  'stop-at-timestamp': text(
    'stopAtSeconds',
    'seconds',
    'Messages after this second since 1970 give no rows.',
  ),
  'exit-when-done': flag('endsWhenDone', 'true', 'End when what is there, or up to that second, is settled.'),
  'quantized-rebalance-consumer-group-delay-secs': text(
    'rebalanceDelaySeconds',
    'n',
    'Join and leave at multiples of so many seconds.',
  ),
  'join-timeout-ms': text('drainMs', 'ms', 'After a stop, how long batches in hand may take.'),
  'skip-write': flag(
    'isWriteSkipped',
    'true',
    'Read and settle, and write nothing: no rows, dead letters, replacements, commit log.',
  ),
  'no-skip-write': flag('isWriteSkipped', 'false', 'The default.'),
  'no-replacer': {
    ...flag('replacer.runs', 'true', 'Leave replacements to "rowmill replacer".'),
    convert: () => 'off',
  },
  testing: flag(
    'testing.isEnabled',
    'true',
    'Answer the routes under /tests/, which write and delete rows without a key.',
  ),
  'no-create-tables': flag('createsTables', 'false', 'Do not create tables that are missing.'),
} satisfies Record<string, Setting>

const own: Readonly<Record<string, OptionSpec>> = {
  'max-batch-size': {
    kind: 'text',
    placeholder: 'n',
    description: 'Messages of one insert, or bytes of them.',
  },
  'max-batch-size-calculation': {
    kind: 'text',
    placeholder: 'rows|bytes',
    description: 'What --max-batch-size counts (default rows).',
  },
  'dry-run': {
    kind: 'flag',
    description:
      'Do everything but write and settle: no group, no rows, no dead letters. May run beside Rowmill; ends with --exit-when-done or Ctrl-C.',
  },
  'dry-run-ms': {
    kind: 'text',
    placeholder: 'ms',
    description: 'The same, and how long an insert shall take (default 50).',
  },
  host: { kind: 'text', placeholder: 'address', description: 'Listen on this address for status.' },
  port: { kind: 'text', placeholder: 'n', description: 'Listen on this port for status (default 8000).' },
}

const brokers =
  'Where the log is says the program, not a consumer: "rowmill config" shows the settings of log.'
const prefetch =
  'There is no queue in front of a batch: batches are pulled one by one as their partition is free.'
const inserts =
  'A batch is settled when its rows are written, so there are no asynchronous inserts to switch on.'
const threads = 'Threads are set by --concurrency; batches reach them whole.'

const refusals: Readonly<Record<string, string>> = {
  'bootstrap-server': brokers,
  'commit-log-bootstrap-server': brokers,
  'replacement-bootstrap-server': brokers,
  'queued-max-messages-kbytes': prefetch,
  'queued-min-messages': prefetch,
  'max-poll-interval-ms': 'A partition is held by its lease, however long a batch takes.',
  'async-inserts': inserts,
  'batch-write-timeout-ms': 'How long an insert may take says --set warehouse.requestTimeoutMs=<ms>.',
  'use-rust-processor': 'There are built-in processors and those of users: --processor built-in.',
  'use-python-processor': 'There are built-in processors and those of users: --processor user.',
  'use-row-binary': "The format of the rows is writer.format in the storage's YAML.",
  'use-pull-consumer': 'Every consumer pulls.',
  'consumer-version': 'There is one consumer.',
  'health-check': 'There is one health check: the file is touched while the work gets on.',
  'python-max-queue-depth': threads,
  processes: threads,
  'input-block-size': threads,
  'output-block-size': threads,
  'max-insert-batch-size': 'A batch is one insert: --max-batch-size.',
  'max-insert-batch-time-ms': 'A batch is one insert: --max-batch-time-ms.',
  'slice-id': 'Storages are not sliced: give a slice a topic and a table of its own.',
}

export const consumerOptions: Readonly<Record<string, OptionSpec>> = {
  ...settings,
  ...own,
  ...Object.fromEntries(
    Object.entries(refusals).map(([name, refusal]) => [
      name,
      { kind: 'text', description: refusal, refusal } satisfies OptionSpec,
    ]),
  ),
}

/** The options as settings by path. */
export function consumerSettings(options: CommandContext['options']): Record<string, string> {
  const flags: Record<string, string> = { roles: 'consumer', ...batchSettings(options) }
  for (const [name, spec] of Object.entries<Setting>(settings)) {
    const value = options[name]
    if (value === undefined || value === false) continue
    const convert = spec.convert ?? ((given: string) => given)
    flags[spec.setting] = Array.isArray(value) ? JSON.stringify(value) : convert(String(value))
  }
  const dryRunMs = options['dry-run-ms'] ?? (options['dry-run'] === true ? '50' : undefined)
  if (dryRunMs !== undefined) flags['consumer.dryRunMs'] = String(dryRunMs)
  return flags
}

/** Counted in bytes, the number of messages is left to the largest there is. */
function batchSettings(options: CommandContext['options']): Record<string, string> {
  const { 'max-batch-size': size, 'max-batch-size-calculation': calculation = 'rows' } = options
  if (calculation !== 'rows' && calculation !== 'bytes')
    throw new UsageError('--max-batch-size-calculation takes rows or bytes.')
  if (size === undefined) return {}
  if (calculation === 'rows') return { 'consumer.batchRecordsMax': String(size) }
  return { 'consumer.batchBytesMax': String(size), 'consumer.batchRecordsMax': '1000000' }
}
