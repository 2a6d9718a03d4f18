/** Errors and the messages that change them, written down plainly after Snuba's ErrorsProcessor. */
import { createHash } from 'node:crypto'
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Output,
  type Row,
} from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'
import { parseUuid } from '../../../src/std/uuid.ts'
import { hasAddress } from './addresses.ts'
import { contextColumns, tagColumns } from './error-contexts.ts'
import { stackColumns } from './error-stacks.ts'
import { payloadMs } from './payload-ms.ts'
import {
  boolean,
  Fields,
  fields,
  float,
  type Json,
  listOf,
  parseMessage,
  string,
  truncate,
  unsigned,
} from './strict-json.ts'
import { inOrder, list, nullable, ofEither, pairOf, refuseDeep, unicodify } from './unicodify.ts'

const secondsMax = 8_210_266_876_799n

export const createProcessor: CreateProcessor = ({ retention, options, nowMs }) => ({
  process({ value, partition, offset, timestampMs }, output) {
    const message = refuseDeep(parseMessage(value))
    if (!Array.isArray(message)) throw new InvalidMessage('The message is no list.')
    if (message.length === 3) return processReplacement(message, output)
    if (message.length !== 4) throw new InvalidMessage('The message has a wrong number of items.')
    const [version = null, type = null, event = null] = message
    const error = fields(event, '[2]')
    const data = error.required('data', fields)
    const row: Row = {
      ...baseColumns(error, nowMs),
      ...dataColumns(data),
      ...userColumns(data),
      ...contextColumns(data),
      ...tagColumns(data),
      ...stackColumns(data, isBlacklisted(options, error)),
      retention_days: enforceRetention(numberOf(error.optional('retention_days', unsigned(16))), retention),
      message_timestamp: Math.floor(timestampMs / 1000),
      partition,
      offset,
      deleted: 0,
    }
    if (unsigned(8)(version, '[0]') !== 2n) throw new InvalidMessage('The version is unknown.')
    if (string(type, '[1]') !== 'insert') throw new InvalidMessage('The type is unknown.')
    if (row.type === 'transaction') throw new InvalidMessage('A transaction is no error.')
    output.row(row)
    output.times({ originMs: originMs(data) })
  },
})

function processReplacement(message: readonly Json[], output: Output): void {
  const [version = null, type = null, event = null] = message
  const project = fields(event, '[2]').required('project_id', unsigned(64))
  const name = string(type, '[1]')
  if (unsigned(8)(version, '[0]') !== 2n) throw new InvalidMessage('The version is unknown.')
  if (name === 'insert') throw new InvalidMessage('An insert has four items.')
  output.replacement(String(project))
}

function baseColumns(error: Fields, nowMs: () => number): Row {
  const atMs = error.withDefault('datetime', payloadMs(nowMs), 0n)
  const firstMs = error.withDefault('group_first_seen', payloadMs(nowMs), 0n)
  const hash = error.required('primary_hash', string)
  return {
    event_id: error.required('event_id', uuidOf),
    group_id: error.required('group_id', unsigned(64)),
    project_id: error.required('project_id', unsigned(64)),
    message: error.required('message', string),
    platform: error.optional('platform', string) ?? null,
    primary_hash: parseUuid(hash) ?? md5Uuid(hash),
    timestamp_ms: atMs,
    timestamp: BigInt.asUintN(32, atMs / 1000n),
    group_first_seen: BigInt.asUintN(32, firstMs / 1000n),
  }
}

function dataColumns(data: Fields): Row {
  const sdk = data.optional('sdk', fields) ?? new Fields()
  const request = data.optional('request', fields) ?? new Fields()
  const headers = request.optional('headers', listOf(nullable(pairOf(string, unicodify)))) ?? []
  const referer = headers.find((header) => header?.[0] === 'Referer' || header?.[0] === 'Referrer')
  const modules = inOrder(data.optional('modules', fields) ?? new Fields())
  const rate = data.optional('sample_rate', float)
  return {
    culprit: text(data, 'culprit'),
    title: text(data, 'title'),
    type: text(data, 'type'),
    location: data.optional('location', string) ?? null,
    version: data.optional('version', string) ?? null,
    num_processing_errors: (data.optional('errors', list) ?? []).length,
    received: truncate(data.optional('received', float) ?? 0, 32),
    symbolicated_in_app: data.optional('symbolicated_in_app', boolean),
    sample_weight: rate === undefined || rate === 0 ? null : new JsonFloat(1 / rate),
    sdk_name: text(sdk, 'name'),
    sdk_version: text(sdk, 'version'),
    sdk_integrations: (sdk.optional('integrations', listOf(unicodify)) ?? []).filter((one) => one !== null),
    http_method: request.withDefault('method', unicodify, null),
    http_referer: referer?.[1] ?? null,
    'modules.name': modules.map(([name]) => name),
    'modules.version': modules.map(([name, value]) => nullable(string)(value, name) ?? ''),
  }
}

function userColumns(data: Fields): Row {
  const user = ofEither(data, 'user', 'sentry.interfaces.User').optional('user', fields) ?? new Fields()
  return {
    user_email: user.withDefault('email', unicodify, null),
    user_id: user.withDefault('id', unicodify, null),
    user_name: user.withDefault('username', unicodify, null),
    ...hasAddress(user.optional('ip_address', string) ?? ''),
  }
}

function originMs(data: Fields): number | undefined {
  const received = data.optional('received', float) ?? 0
  const seconds = BigInt(Math.trunc(Math.max(-9.3e18, Math.min(9.3e18, received))))
  return seconds > secondsMax || seconds < -secondsMax ? undefined : Number(seconds) * 1000
}

function text(from: Fields, name: string): string {
  return from.withDefault(name, unicodify, null) ?? ''
}

function uuidOf(value: Json, path: string): string {
  const uuid = parseUuid(string(value, path))
  if (uuid === undefined) throw new InvalidMessage('Expected a UUID.', { path })
  return uuid
}

function md5Uuid(value: string): string | undefined {
  return parseUuid(createHash('md5').update(value).digest('hex'))
}

function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value)
}

function isBlacklisted(options: Readonly<Record<string, unknown>>, error: Fields): boolean {
  const projects = options.project_stacktrace_blacklist
  const project = error.required('project_id', unsigned(64))
  return Array.isArray(projects) && projects.some((one) => BigInt(one) === project)
}
