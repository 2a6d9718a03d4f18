/**
 * Changes of error rows: groups deleted, merged and split, tags deleted, single events hidden or moved.
 * Messages and conditions are those of Snuba's errors replacer: `[2, type, {project_id, …}]`, as the errors
 * processor hands them on.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type LosslessValue, parseLossless } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { ParseOptions, ParseReplacement, Replacement, RowChange } from '../replacement.ts'

const optionsSchema = z.strictObject({
  required_columns: z
    .array(z.string())
    .default([
      'event_id',
      'primary_hash',
      'project_id',
      'group_id',
      'timestamp',
      'deleted',
      'retention_days',
    ]),
  /** Tags that have a column of their own. */
  tag_columns: z.record(z.string(), z.string()).default({
    environment: 'environment',
    'sentry:release': 'release',
    'sentry:dist': 'dist',
    'sentry:user': 'user',
    transaction: 'transaction_name',
    level: 'level',
  }),
})

const id = z.union([z.int().min(0), z.bigint().min(0n)])
const uuid = z.string().regex(/^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i)
const payloadTime = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{1,6}Z$/)
const anyTime = z.iso.datetime({ offset: true })
const project = { project_id: z.int().min(0) }
const eventSet = {
  ...project,
  event_ids: z.array(uuid),
  from_timestamp: anyTime.nullish(),
  to_timestamp: anyTime.nullish(),
}

/** Fields that a change needs; what else a message holds is not read. */
const bodies = {
  end_delete_groups: z.object({ ...project, group_ids: z.array(id), datetime: payloadTime }),
  end_merge: z.object({
    ...project,
    previous_group_ids: z.array(id),
    new_group_id: id,
    new_group_first_seen: payloadTime.nullish(),
    datetime: payloadTime,
  }),
  end_unmerge: z.object({
    ...project,
    previous_group_id: id,
    new_group_id: id,
    hashes: z.array(z.string()),
    datetime: payloadTime,
  }),
  end_delete_tag: z.object({ ...project, tag: z.string(), datetime: payloadTime }),
  tombstone_events: z.object({ ...eventSet, old_primary_hash: uuid.nullish() }),
  replace_group: z.object({ ...eventSet, new_group_id: id }),
  exclude_groups: z.object({ ...project, group_ids: z.array(id) }),
} as const

type Body<Type extends keyof typeof bodies> = z.output<(typeof bodies)[Type]>

const announcements = new Set(['start_delete_groups', 'start_merge', 'start_unmerge', 'start_delete_tag'])

export const parseErrorsReplacement: ParseReplacement = (value, options) => {
  const { type, data } = envelopeOf(value)
  if (announcements.has(type)) return undefined
  switch (type) {
    case 'end_delete_groups':
      return deleteGroups(bodyOf(type, data), options)
    case 'end_merge':
      return merge(bodyOf(type, data))
    case 'end_unmerge':
      return unmerge(bodyOf(type, data))
    case 'end_delete_tag':
      return deleteTag(bodyOf(type, data), options)
    case 'tombstone_events':
      return tombstone(bodyOf(type, data), options)
    case 'replace_group':
      return replaceGroup(bodyOf(type, data))
    case 'exclude_groups':
      return excludeGroups(bodyOf(type, data))
    default:
      throw new InvalidMessage(`There is no replacement of the type ${JSON.stringify(type)}.`, {
        path: '[1]',
      })
  }
}

function envelopeOf(value: Buffer): { type: string; data: LosslessValue } {
  let message: LosslessValue
  try {
    message = parseLossless(value)
  } catch (cause) {
    throw new InvalidMessage('The replacement is not JSON.', { cause })
  }
  if (!Array.isArray(message)) throw new InvalidMessage('The replacement is not [2, type, data].')
  const [version, type, data] = message
  if (version !== 2)
    throw new InvalidMessage(`The replacement is of version ${String(version)}, not 2.`, { path: '[0]' })
  if (typeof type !== 'string' || data === undefined)
    throw new InvalidMessage('The replacement is not [2, type, data].')
  return { type, data }
}

function bodyOf<Type extends keyof typeof bodies>(type: Type, data: LosslessValue): Body<Type> {
  const read = bodies[type].safeParse(data)
  if (read.success) return read.data as Body<Type>
  const [issue] = read.error.issues
  throw new InvalidMessage(`A replacement ${type} is not as it should be: ${issue?.message}.`, {
    path: ['[2]', ...(issue?.path ?? [])].join('.'),
  })
}

function deleteGroups(body: Body<'end_delete_groups'>, { options }: ParseOptions): Replacement | undefined {
  if (body.group_ids.length === 0) return undefined
  return {
    type: 'end_delete_groups',
    projectId: body.project_id,
    change: {
      ...rowsOfGroups(body, body.group_ids),
      values: { deleted: '1' },
      columns: optionsSchema.parse(options).required_columns,
    },
    flag: { kind: 'exclude-groups', groupIds: body.group_ids },
  }
}

function merge(body: Body<'end_merge'>): Replacement | undefined {
  if (body.previous_group_ids.length === 0) return undefined
  const { where, parameters } = rowsOfGroups(body, body.previous_group_ids)
  const firstSeen = body.new_group_first_seen
  return {
    type: 'end_merge',
    projectId: body.project_id,
    change: {
      where,
      parameters: {
        ...parameters,
        group: String(body.new_group_id),
        ...(typeof firstSeen === 'string' ? { firstSeen: secondsOf(firstSeen) } : {}),
      },
      values: {
        group_id: '{group:UInt64}',
        ...(typeof firstSeen === 'string' ? { group_first_seen: 'toDateTime({firstSeen:Int64})' } : {}),
      },
      columns: undefined,
    },
    flag: { kind: 'exclude-groups', groupIds: body.previous_group_ids },
  }
}

function unmerge(body: Body<'end_unmerge'>): Replacement | undefined {
  if (body.hashes.length === 0) return undefined
  const { where, parameters } = rowsOfGroups(body, [body.previous_group_id])
  return {
    type: 'end_unmerge',
    projectId: body.project_id,
    change: {
      where: [...where, 'primary_hash IN {hashes:Array(UUID)}'],
      parameters: { ...parameters, hashes: body.hashes.map(hashUuid), group: String(body.new_group_id) },
      values: { group_id: '{group:UInt64}' },
      columns: undefined,
    },
    flag: { kind: 'needs-final' },
  }
}

function deleteTag(body: Body<'end_delete_tag'>, { table, options }: ParseOptions): Replacement | undefined {
  if (body.tag === '') return undefined
  const { tag_columns: columns } = optionsSchema.parse(options)
  const column = Object.hasOwn(columns, body.tag) ? columns[body.tag] : undefined
  const type = table.columns.find(({ name }) => name === column)?.type ?? ''
  const emptied = column === undefined ? {} : { [column]: type.includes('Nullable(') ? 'NULL' : "''" }
  return {
    type: 'end_delete_tag',
    projectId: body.project_id,
    change: {
      where: [...rowsUntil, 'has(`tags.key`, {tag:String})'],
      parameters: { ...untilParameters(body), tag: body.tag },
      values: {
        ...emptied,
        'tags.key': 'arrayFilter(key -> key != {tag:String}, `tags.key`)',
        'tags.value': 'arrayFilter((value, key) -> key != {tag:String}, `tags.value`, `tags.key`)',
      },
      columns: undefined,
    },
    flag: { kind: 'needs-final' },
  }
}

function tombstone(body: Body<'tombstone_events'>, { options }: ParseOptions): Replacement | undefined {
  if (body.event_ids.length === 0) return undefined
  const { where, parameters } = rowsOfEvents(body)
  const oldHash = body.old_primary_hash
  const hasOldHash = typeof oldHash === 'string' && oldHash !== ''
  return {
    type: 'tombstone_events',
    projectId: body.project_id,
    change: {
      where: hasOldHash ? [...where, 'primary_hash = {oldHash:UUID}'] : where,
      parameters: hasOldHash ? { ...parameters, oldHash: hyphened(oldHash) } : parameters,
      values: { deleted: '1' },
      columns: optionsSchema.parse(options).required_columns,
    },
    flag: undefined,
  }
}

function replaceGroup(body: Body<'replace_group'>): Replacement | undefined {
  if (body.event_ids.length === 0) return undefined
  const { where, parameters } = rowsOfEvents(body)
  return {
    type: 'replace_group',
    projectId: body.project_id,
    change: {
      where,
      parameters: { ...parameters, group: String(body.new_group_id) },
      values: { group_id: '{group:UInt64}' },
      columns: undefined,
    },
    flag: undefined,
  }
}

function excludeGroups(body: Body<'exclude_groups'>): Replacement | undefined {
  if (body.group_ids.length === 0) return undefined
  return {
    type: 'exclude_groups',
    projectId: body.project_id,
    change: undefined,
    flag: { kind: 'exclude-groups', groupIds: body.group_ids },
  }
}

type Rows = Pick<RowChange, 'where' | 'parameters'>

const rowsUntil = [
  'project_id = {project:UInt64}',
  'received <= toDateTime({until:Int64})',
  'NOT deleted',
] as const

function untilParameters(body: { project_id: number; datetime: string }): Record<string, unknown> {
  return { project: body.project_id, until: secondsOf(body.datetime) }
}

/**
 * Rows of the groups that were received up to the time of the request. The condition on `timestamp` only
 * spares reading newer parts: a day more than needed, because events may come with a time ahead.
 */
function rowsOfGroups(
  body: { project_id: number; datetime: string },
  groups: readonly (number | bigint)[],
): Rows {
  return {
    where: [
      ...rowsUntil,
      'timestamp <= toDateTime({until:Int64}) + INTERVAL 1 DAY',
      'group_id IN {groups:Array(UInt64)}',
    ],
    parameters: { ...untilParameters(body), groups: groups.map(BigInt) },
  }
}

function rowsOfEvents(body: Body<'replace_group'> | Body<'tombstone_events'>): Rows {
  const where = ['project_id = {project:UInt64}', 'event_id IN {events:Array(UUID)}', 'NOT deleted']
  const parameters: Record<string, unknown> = {
    project: body.project_id,
    events: body.event_ids.map(hyphened),
  }
  if (typeof body.from_timestamp === 'string') {
    where.push('timestamp >= toDateTime({from:Int64})')
    parameters.from = secondsOf(body.from_timestamp)
  }
  if (typeof body.to_timestamp === 'string') {
    where.push('timestamp <= toDateTime({to:Int64})')
    parameters.to = secondsOf(body.to_timestamp)
  }
  return { where, parameters }
}

function secondsOf(time: string): number {
  return Math.floor(Date.parse(time) / 1000)
}

/** A hash of 32 hex digits is taken as it is, another text by its MD5. */
function hashUuid(hash: string): string {
  return hyphened(/^[0-9a-f]{32}$/i.test(hash) ? hash : createHash('md5').update(hash).digest('hex'))
}

function hyphened(id: string): string {
  return id
    .toLowerCase()
    .replaceAll('-', '')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
