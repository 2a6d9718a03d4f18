/** What can be wrong with a storage although its form is right: contradictions, and settings that do nothing. */
import type { RowFormat } from '../processor/processor.ts'
import type { StorageDocument } from './document.ts'
import { tableFindings } from './table-rules.ts'
import type { Finding } from './yaml-text.ts'

/** What is known of the built-in processors. */
export type KnownProcessors = {
  formatsOf: (name: string) => readonly RowFormat[] | undefined
  names: () => readonly string[]
}

export function storageFindings(document: StorageDocument, processors: KnownProcessors): Finding[] {
  return [
    ...streamFindings(document),
    ...processorFindings(document, processors),
    ...writerFindings(document),
    ...deadLetterFindings(document),
    ...retentionFindings(document),
    ...tableNameFindings(document),
    ...document.tables.flatMap((table, index) => tableFindings(table, ['tables', index])),
  ]
}

function streamFindings({ stream, replacer }: StorageDocument): Finding[] {
  const findings: Finding[] = []
  const seen = new Map([[stream.topic, 'topic']])
  for (const key of ['commit_log_topic', 'dlq_topic', 'replacement_topic'] as const) {
    const topic = stream[key]
    if (topic === undefined) continue
    const other = seen.get(topic)
    if (other !== undefined)
      findings.push({
        path: ['stream', key],
        message: `stream.${key} is stream.${other} as well; each needs a topic of its own.`,
      })
    seen.set(topic, key)
  }
  if (stream.replacement_topic !== undefined && replacer === undefined)
    findings.push({
      path: ['stream', 'replacement_topic'],
      message: 'stream.replacement_topic does nothing without replacer.',
      isKey: true,
    })
  if (replacer !== undefined && stream.replacement_topic === undefined)
    findings.push({
      path: ['replacer'],
      message: 'replacer does nothing without stream.replacement_topic.',
      isKey: true,
    })
  return findings
}

function processorFindings({ processor, writer }: StorageDocument, known: KnownProcessors): Finding[] {
  const { built_in: builtIn, module } = processor
  if ((builtIn === undefined) === (module === undefined))
    return [
      {
        path: ['processor'],
        message:
          builtIn === undefined
            ? 'processor needs built_in or module.'
            : 'processor has built_in and module; give one of them.',
      },
    ]
  if (builtIn === undefined) return []
  const formats = known.formatsOf(builtIn)
  if (formats === undefined)
    return [
      {
        path: ['processor', 'built_in'],
        message: `There is no built-in processor ${builtIn}; there are ${known.names().join(', ')}.`,
      },
    ]
  if (formats.includes(writer.format)) return []
  return [
    {
      path: ['writer', 'format'],
      message: `The processor ${builtIn} cannot write ${writer.format}; it writes ${formats.join(' and ')}.`,
    },
  ]
}

/** Insert settings that the writer sets itself: with other values a batch would not be written whole and once. */
const ownInsertSettings =
  /^(async_insert|wait_for_async_insert.*|async_insert_.*|insert_deduplicat\w+|deduplicate_\w+|(max|min)_insert_block_size.*|enable_http_compression|network_compression_method)$/

function writerFindings({ writer }: StorageDocument): Finding[] {
  return Object.keys(writer.settings).flatMap((key): Finding[] => {
    const path = ['writer', 'settings', key]
    if (ownInsertSettings.test(key))
      return [
        {
          path,
          message: `${key} is set by the writer, so that a batch is written whole and once.`,
          isKey: true,
        },
      ]
    if (
      writer.format === 'RowBinary' &&
      /^(input_format_json|input_format_skip_unknown|input_format_null_as|input_format_parallel|date_time_input)/.test(
        key,
      )
    )
      return [{ path, message: `${key} does nothing with ${writer.format}.`, isKey: true }]
    return []
  })
}

function deadLetterFindings({ stream, dead_letters: limits }: StorageDocument): Finding[] {
  if (stream.dlq_topic !== undefined) return []
  const set = [
    ...(Object.keys(limits.max_by_reason).length > 0 ? ['max_by_reason'] : []),
    ...(limits.ratio === undefined ? [] : ['ratio']),
    ...(limits.consecutive_max === undefined ? [] : ['consecutive_max']),
  ]
  return set.map((key) => ({
    path: ['dead_letters', key],
    message: `dead_letters.${key} needs stream.dlq_topic.`,
    isKey: true,
  }))
}

function retentionFindings({ retention }: StorageDocument): Finding[] {
  const { valid_days: valid, default_days: usual, lower_days: lower } = retention
  const findings: Finding[] = []
  for (const key of ['default_days', 'lower_days'] as const)
    if (!valid.includes(retention[key]))
      findings.push({
        path: ['retention', key],
        message: `retention.${key} is ${retention[key]}, which is none of valid_days.`,
      })
  if (lower > usual)
    findings.push({
      path: ['retention', 'lower_days'],
      message: `retention.lower_days (${lower}) is longer than default_days (${usual}).`,
    })
  return findings
}

function tableNameFindings({ tables }: StorageDocument): Finding[] {
  const names = tables.flatMap(({ name, distributed }, index) => [
    { name, path: ['tables', index, 'name'] },
    ...(distributed === undefined
      ? []
      : [{ name: distributed.name, path: ['tables', index, 'distributed', 'name'] }]),
  ])
  return names.flatMap(({ name, path }, index) =>
    names.findIndex((other) => other.name === name) < index
      ? [{ path, message: `The table ${name} is there twice.` }]
      : [],
  )
}
