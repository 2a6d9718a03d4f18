/** Columns of a `replay_event`: one part of a recording and all that is known about it. */
import { arenaBytes, put, putAscii, putByte, putCopy, putUnsigned } from '../../../std/arena.ts'
import { truncateToU32 } from '../message-fields.ts'
import { emptyText, type PayloadFields, putFloat, putQuoted } from '../payload/payload-fields.ts'
import type { PutColumn, ReplayColumn } from './columns.ts'
import {
  device,
  type EventField,
  eventField,
  geo,
  type ReplayEvent,
  rates,
  type Span,
  updates,
  user,
  version,
} from './replay-event.ts'

const memory = arenaBytes()

type Columns = Partial<Record<ReplayColumn, PutColumn<ReplayEvent>>>

/** The string of a field, or an empty one. */
export function eventString(field: EventField): PutColumn<ReplayEvent> {
  const position = eventField(field)
  return ({ fields }) => fields.putOptionalString(position, emptyText)
}

/** Seconds as a float, cut off to an integer of 32 bits. */
export function eventSeconds(field: EventField): PutColumn<ReplayEvent> {
  const position = eventField(field)
  return ({ fields }) => putUnsigned(truncateToU32(fields.float(position)))
}

/** What all kinds of events have. */
export const placeColumns = {
  offset: ({ offset }) => putUnsigned(offset),
  partition: ({ partition }) => putUnsigned(partition),
  project_id: ({ envelope }) => envelope.putProjectId(),
  replay_id: ({ envelope }) => envelope.putReplayId(),
  retention_days: ({ envelope }) => putUnsigned(envelope.retentionDays),
} satisfies Columns

export const eventColumns: Columns = {
  ...placeColumns,
  browser_name: text('browser', version.name),
  browser_version: text('browser', version.version),
  device_brand: text('device', device.brand),
  device_family: text('device', device.family),
  device_model: text('device', device.model),
  device_name: text('device', device.name),
  dist: eventString('dist'),
  environment: eventString('environment'),
  error_ids: (event) => event.putUuids('error_ids'),
  error_sample_rate: rate(rates.error),
  event_hash: eventHash,
  ip_address_v4: ({ address }) => putAddress(address?.version === 4 ? address.text : undefined),
  ip_address_v6: ({ address }) => putAddress(address?.version === 6 ? address.text : undefined),
  is_archived: isArchived,
  os_name: text('os', version.name),
  os_version: text('os', version.version),
  ota_updates_channel: text('updates', updates.channel),
  ota_updates_runtime_version: text('updates', updates.runtimeVersion),
  ota_updates_update_id: text('updates', updates.updateId),
  platform: eventString('platform'),
  release: eventString('release'),
  replay_id: ({ fields }) => fields.putUuid(eventField('replay_id')),
  replay_start_timestamp: replayStart,
  replay_type: eventString('replay_type'),
  sdk_name: text('sdk', version.name),
  sdk_version: text('sdk', version.version),
  segment_id: segmentId,
  session_sample_rate: rate(rates.session),
  'tags.key': ({ tagKeys }) => putSpans(tagKeys),
  'tags.value': ({ tagValues }) => putSpans(tagValues),
  timestamp: eventSeconds('timestamp'),
  title: ({ title }) => {
    if (title === undefined || title.start === 0) putAscii('null')
    else putCopy(title.start, title.end)
  },
  trace_ids: (event) => event.putUuids('trace_ids'),
  urls: (event) => event.putStrings('urls'),
  segment_names: (event) => event.putStrings('segment_names'),
  user_email: text('user', user.email),
  user_id: userId,
  user_name: text('user', user.username),
  user: anyUser,
  user_geo_city: text('geo', geo.city),
  user_geo_country_code: text('geo', geo.countryCode),
  user_geo_region: text('geo', geo.region),
  user_geo_subdivision: text('geo', geo.subdivision),
}

type Part = 'browser' | 'os' | 'device' | 'updates' | 'sdk' | 'user' | 'geo'

function text(part: Part, field: number): PutColumn<ReplayEvent> {
  return (event) => event[part].putOptionalString(field, emptyText)
}

/** No rate is -1. */
function rate(field: number): PutColumn<ReplayEvent> {
  return (event) => putFloat(event.rates.optionalFloat(field) ?? -1)
}

/** The one given, else that of the segment, else a random one. */
function eventHash(event: ReplayEvent): void {
  const { fields } = event
  const segment = fields.optionalUnsigned(eventField('segment_id'), 0xffff_ffff)
  if (!fields.isMissing(eventField('event_hash'))) fields.putUuid(eventField('event_hash'))
  else putQuoted(segment === undefined ? event.uuid() : event.segmentHash(segment))
}

function isArchived({ fields }: ReplayEvent): void {
  const position = eventField('is_archived')
  putByte(!fields.isMissing(position) && fields.boolean(position) ? 0x31 : 0x30)
}

function replayStart({ fields }: ReplayEvent): void {
  const seconds = fields.optionalFloat(eventField('replay_start_timestamp'))
  if (seconds === undefined) putAscii('null')
  else putUnsigned(truncateToU32(seconds))
}

/** Null if it is more than 16 bits hold. */
function segmentId({ fields }: ReplayEvent): void {
  const segment = fields.optionalUnsigned(eventField('segment_id'), 0xffff_ffff)
  if (segment === undefined || segment > 0xffff) putAscii('null')
  else putUnsigned(segment)
}

/** A string, or a number that becomes one. */
function userId({ user: from }: ReplayEvent): void {
  if (from.isMissing(user.id)) put(emptyText)
  else putUserId(from)
}

function putUserId(from: PayloadFields): void {
  if (memory[from.start(user.id)] === 0x22) from.putString(user.id)
  else {
    putByte(0x22)
    from.putU64(user.id)
    putByte(0x22)
  }
}

function anyUser({ user: from, address }: ReplayEvent): void {
  if (!from.isMissing(user.id)) putUserId(from)
  else if (!from.isMissing(user.username)) from.putString(user.username)
  else if (!from.isMissing(user.email)) from.putString(user.email)
  else putQuoted(address?.text ?? '')
}

function putAddress(address: string | undefined): void {
  if (address === undefined) putAscii('null')
  else putQuoted(address)
}

function putSpans(spans: readonly Span[]): void {
  putByte(0x5b)
  for (const [index, { start, end }] of spans.entries()) {
    if (index > 0) putByte(0x2c)
    if (start === 0) put(emptyText)
    else putCopy(start, end)
  }
  putByte(0x5d)
}
