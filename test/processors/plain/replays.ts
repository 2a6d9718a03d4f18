/** Events of session replays, written down plainly after Snuba's ReplaysProcessor. */
import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import type { CreateProcessor, Row } from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'
import { parseUuid } from '../../../src/std/uuid.ts'
import { emptyReplayRow } from './replay-row.ts'
import {
  boolean,
  Fields,
  fields,
  float,
  kept,
  listOf,
  parseMessage,
  type Read,
  string,
  truncate,
  unsigned,
  uuid,
} from './strict-json.ts'

type Cells = Record<string, Exclude<Row[string], undefined>>

const seconds: Read<bigint> = (value, path) => truncate(float(value, path), 32)

/** The payload is an object, or a list of the bytes of its text. */
const payload: Read<Fields> = (value, path) => {
  if (!Array.isArray(value)) return fields(kept(value, path), path)
  const bytes = listOf(unsigned(8))(value, path)
  return fields(kept(parseMessage(Uint8Array.from(bytes, Number)), path), path)
}

export const createProcessor: CreateProcessor = (context) => ({
  process({ value, partition, offset }, output) {
    const message = fields(parseMessage(value, 'unless unread'), '')
    const event = message.required('payload', payload)
    const shared: Cells = {
      offset,
      partition,
      project_id: message.required('project_id', unsigned(64)),
      replay_id: message.required('replay_id', uuid),
      retention_days: message.required('retention_days', unsigned(16)),
    }
    const startTime = message.required('start_time', float)
    for (const row of rowsOf(event, context.uuid)) output.row({ ...emptyReplayRow, ...shared, ...row })
    output.times({ originMs: Math.trunc(startTime) * 1000 })
  },
})

/** Of every kind of event, whichever it is: no field is there twice. */
const eventNames = [
  ...['type', 'replay_id', 'timestamp', 'environment', 'event_hash', 'contexts', 'dist', 'is_archived'],
  ...['platform', 'release', 'replay_start_timestamp', 'replay_type', 'sdk', 'segment_id', 'urls', 'user'],
  ...['segment_names', 'trace_ids', 'error_ids', 'tags', 'clicks', 'taps', 'debug_id', 'error_id'],
  ...['fatal_id', 'info_id', 'warning_id', 'viewed_by_id'],
]

function rowsOf(event: Fields, randomUuid: () => string): Cells[] {
  for (const name of eventNames) event.find(name)
  switch (event.required('type', string)) {
    case 'replay_actions':
      return itemsOf(event, 'clicks', clickRow)
    case 'replay_tap':
      return itemsOf(event, 'taps', tapRow)
    case 'replay_event':
      return [eventRow(event, randomUuid)]
    case 'event_link':
      return [linkRow(event)]
    case 'replay_viewed':
      return [viewedRow(event)]
    default:
      throw new InvalidMessage('Expected a type of event.', { path: 'payload.type' })
  }
}

function itemsOf(event: Fields, name: string, rowOf: (item: Fields, environment: string) => Cells): Cells[] {
  const environment = event.optional('environment', string) ?? ''
  return event.required(name, listOf(fields)).map((item) => rowOf(item, environment))
}

function clickRow(click: Fields, environment: string): Cells {
  return {
    click_alt: click.required('alt', string),
    click_aria_label: click.required('aria_label', string),
    click_class: click.required('class', listOf(string)),
    click_component_name: click.withDefault('component_name', string, ''),
    click_id: click.required('id', string),
    click_is_dead: click.required('is_dead', unsigned(8)),
    click_is_rage: click.required('is_rage', unsigned(8)),
    click_node_id: click.required('node_id', unsigned(32)),
    click_role: click.required('role', string),
    click_tag: click.required('tag', string),
    click_testid: click.required('testid', string),
    click_text: click.required('text', string),
    click_title: click.required('title', string),
    environment,
    event_hash: click.required('event_hash', uuid),
    timestamp: click.required('timestamp', seconds),
  }
}

function tapRow(tap: Fields, environment: string): Cells {
  return {
    tap_message: tap.required('message', string),
    tap_view_class: tap.required('view_class', string),
    tap_view_id: tap.required('view_id', string),
    environment,
    event_hash: tap.required('event_hash', uuid),
    timestamp: tap.required('timestamp', seconds),
  }
}

function linkRow(event: Fields): Cells {
  const row: Cells = {
    event_hash: event.required('event_hash', uuid),
    timestamp: event.required('timestamp', seconds),
  }
  for (const name of ['debug_id', 'error_id', 'fatal_id', 'info_id', 'warning_id']) {
    const id = event.optional(name, uuid)
    if (id !== undefined) row[name] = id
  }
  return row
}

function viewedRow(event: Fields): Cells {
  const viewedBy = event.required('viewed_by_id', unsigned(64))
  return {
    viewed_by_id: viewedBy,
    event_hash: parseUuid(viewedBy.toString(16).padStart(32, '0')) ?? '',
    timestamp: event.required('timestamp', seconds),
  }
}

const userId: Read<string> = (value, path) =>
  typeof value === 'string' ? value : unsigned(64)(value, path).toString()

const tag: Read<{ name: string; value: string | null }> = (value, path) => {
  if (!Array.isArray(value) || value.length !== 2) throw new InvalidMessage('Expected a pair.', { path })
  const [name = null, text = null] = value
  return { name: string(name, path), value: text === null ? null : string(text, path) }
}

const empty = new Fields()

function eventRow(event: Fields, randomUuid: () => string): Cells {
  const contexts = event.withDefault('contexts', fields, empty)
  const context = (name: string) => contexts.withDefault(name, fields, empty)
  const [browser, device, os] = [context('browser'), context('device'), context('os')]
  const [updates, rates] = [context('ota_updates'), context('replay')]
  const sdk = event.withDefault('sdk', fields, empty)
  const tags = event.optional('tags', listOf(tag)) ?? []
  const kept = tags.filter(({ name }) => name !== 'transaction')
  const segment = event.optional('segment_id', unsigned(32))
  const start = event.optional('replay_start_timestamp', seconds)
  const text = (from: Fields, name: string) => from.optional(name, string) ?? ''
  return {
    browser_name: text(browser, 'name'),
    browser_version: text(browser, 'version'),
    device_brand: text(device, 'brand'),
    device_family: text(device, 'family'),
    device_model: text(device, 'model'),
    device_name: text(device, 'name'),
    dist: text(event, 'dist'),
    environment: text(event, 'environment'),
    error_ids: event.optional('error_ids', listOf(uuid)) ?? [],
    error_sample_rate: new JsonFloat(rates.optional('error_sample_rate', float) ?? -1),
    session_sample_rate: new JsonFloat(rates.optional('session_sample_rate', float) ?? -1),
    event_hash: event.optional('event_hash', uuid) ?? hashOf(segment) ?? randomUuid(),
    is_archived: event.optional('is_archived', boolean) === true ? 1 : 0,
    os_name: text(os, 'name'),
    os_version: text(os, 'version'),
    ota_updates_channel: text(updates, 'channel'),
    ota_updates_runtime_version: text(updates, 'runtime_version'),
    ota_updates_update_id: text(updates, 'update_id'),
    platform: text(event, 'platform'),
    release: text(event, 'release'),
    replay_id: event.required('replay_id', uuid),
    replay_start_timestamp: start ?? null,
    replay_type: text(event, 'replay_type'),
    sdk_name: text(sdk, 'name'),
    sdk_version: text(sdk, 'version'),
    segment_id: segment !== undefined && segment <= 0xffffn ? segment : null,
    'tags.key': kept.map(({ name }) => name),
    'tags.value': kept.map(({ value }) => value ?? ''),
    timestamp: event.required('timestamp', seconds),
    title: tags.findLast(({ name }) => name === 'transaction')?.value ?? null,
    trace_ids: event.optional('trace_ids', listOf(uuid)) ?? [],
    urls: event.optional('urls', listOf(string)) ?? [],
    segment_names: event.optional('segment_names', listOf(string)) ?? [],
    ...userCells(event.withDefault('user', fields, empty)),
  }
}

function hashOf(segment: bigint | undefined): string | undefined {
  return segment === undefined
    ? undefined
    : parseUuid(createHash('md5').update(segment.toString()).digest('hex'))
}

function userCells(user: Fields): Cells {
  const geo = user.withDefault('geo', fields, empty)
  const id = user.optional('id', userId)
  const name = user.optional('username', string)
  const email = user.optional('email', string)
  const address = user.optional('ip_address', string) ?? ''
  const v4 = isIPv4(address) ? address : undefined
  const v6 = isIPv6(address) && !address.includes('%') ? canonicalV6(address) : undefined
  return {
    ip_address_v4: v4 ?? null,
    ip_address_v6: v6 ?? null,
    user: id ?? name ?? email ?? v4 ?? v6 ?? '',
    user_id: id ?? '',
    user_name: name ?? '',
    user_email: email ?? '',
    user_geo_city: geo.optional('city', string) ?? '',
    user_geo_country_code: geo.optional('country_code', string) ?? '',
    user_geo_region: geo.optional('region', string) ?? '',
    user_geo_subdivision: geo.optional('subdivision', string) ?? '',
  }
}

/** The usual form of an address; one that holds an address of version 4 ends in its dotted form. */
function canonicalV6(address: string): string {
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text)
  if (mapped === null) return text
  const bytes = mapped.slice(1).flatMap((part) => {
    const value = Number.parseInt(part, 16)
    return [value >> 8, value & 0xff]
  })
  return `::ffff:${bytes.join('.')}`
}
