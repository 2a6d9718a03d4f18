/** Contexts, flags and tags of errors, for the plain processor. */
import type { Row } from '../../../src/datasets/processor/processor.ts'
import { parseUuid } from '../../../src/std/uuid.ts'
import {
  boolean,
  Fields,
  fields,
  type Json,
  listOf,
  type Read,
  sortedText,
  string,
  uuid,
} from './strict-json.ts'
import { compareBytes, inOrder, nullable, ofEither, pairOf, unicodify } from './unicodify.ts'

/** Contexts with columns of their own. */
const promoted = ['flags', 'replay', 'trace']

/** Scalars as text, with booleans as Python prints them; nothing of anything else. */
function contextText(value: Json): string | undefined {
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'string') return value
  return value === null || Array.isArray(value) || value instanceof Fields ? undefined : sortedText(value)
}

export function contextColumns(data: Fields): Row {
  const contexts = data.optional('contexts', fields) ?? new Fields()
  const trace = contexts.optional('trace', fields) ?? new Fields()
  const replay = contexts.optional('replay', fields) ?? new Fields()
  const flags = contexts.optional('flags', fields) ?? new Fields()
  const pairs = [...flatContexts(data, contexts), ...traceContexts(trace)]
  const set = (flags.optional('values', listOf(nullable(flag))) ?? []).filter((one) => one !== null)
  const known = set.filter(({ key, value }) => key !== null && value !== null)
  const sampled = trace.optional('sampled', boolean)
  return {
    'contexts.key': pairs.map(([key]) => key),
    'contexts.value': pairs.map(([, value]) => value),
    'flags.key': known.map(({ key }) => key),
    'flags.value': known.map(({ value }) => value),
    span_id: spanId(trace.optional('span_id', string) ?? ''),
    trace_id: trace.optional('trace_id', uuid),
    trace_sampled: sampled === undefined ? undefined : Number(sampled),
    replay_id: replay.optional('replay_id', uuid) ?? tagsOf(data).replayId,
  }
}

const flag: Read<{ key: string | null; value: string | null }> = (value, path) => {
  const item = fields(value, path)
  return {
    key: item.withDefault('flag', unicodify, null),
    value: item.withDefault('result', unicodify, null),
  }
}

function flatContexts(data: Fields, contexts: Fields): [string, string][] {
  const user = ofEither(data, 'user', 'sentry.interfaces.User').optional('user', fields) ?? new Fields()
  const geo = user.optional('geo', fields) ?? new Fields()
  const others = contexts.list.filter(({ name }) => !promoted.includes(name))
  for (const { name, value } of others) nullable(fields)(value, name)
  const byName = new Map(others.map(({ name, value }) => [name, value]))
  if (geo.list.length > 0) byName.set('geo', geo)
  return [...byName]
    .sort(([one], [other]) => compareBytes(one, other))
    .flatMap(([name, value]) =>
      value instanceof Fields
        ? inOrder(value).flatMap(([key, inner]): [string, string][] => {
            const text = contextText(inner)
            return key === 'type' || text === undefined ? [] : [[`${name}.${key}`, text]]
          })
        : [],
    )
}

/** In an order of their own. */
function traceContexts(trace: Fields): [string, string][] {
  const others = new Map(inOrder(trace))
  const other = (name: string) => contextText(others.get(name) ?? null)
  const values: [string, string | undefined][] = [
    ['trace.client_sample_rate', other('client_sample_rate')],
    ['trace.op', other('op')],
    ['trace.span_id', trace.optional('span_id', string)],
    ['trace.status', other('status')],
    ['trace.trace_id', trace.optional('trace_id', uuid)?.replaceAll('-', '')],
    ['trace.parent_span_id', trace.optional('parent_span_id', string)],
  ]
  return values.flatMap(([key, value]): [string, string][] => (value === undefined ? [] : [[key, value]]))
}

/** Hexadecimal digits of 64 bits. */
function spanId(text: string): bigint | undefined {
  const digits = text.replace(/^\+/, '')
  if (!/^[0-9a-fA-F]+$/.test(digits)) return undefined
  const value = BigInt(`0x${digits}`)
  return value < 1n << 64n ? value : undefined
}

export function tagColumns(data: Fields): Row {
  const { all, last } = tagsOf(data)
  return {
    'tags.key': all.map(([key]) => key),
    'tags.value': all.map(([, value]) => value),
    environment: last.get('environment') ?? null,
    level: last.get('level') ?? null,
    transaction_name: last.get('transaction') ?? '',
    release: last.get('sentry:release') ?? null,
    dist: last.get('sentry:dist') ?? null,
    user: last.get('sentry:user') ?? '',
  }
}

function tagsOf(data: Fields): {
  all: [string, string][]
  last: ReadonlyMap<string, string>
  replayId: string | undefined
} {
  const given = data.optional('tags', listOf(nullable(pairOf(unicodify, unicodify)))) ?? []
  const all = given
    .flatMap((tag): [string, string][] => {
      const [key = null, value = null] = tag ?? []
      return key === null || value === null ? [] : [[key, value]]
    })
    .sort((one, other) => compareBytes(one[0], other[0]) || compareBytes(one[1], other[1]))
  const last = new Map(all)
  return { all, last, replayId: parseUuid(last.get('replayId') ?? '') }
}
