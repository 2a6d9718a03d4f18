/** The columns of a transaction's contexts and its user. */
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { Row } from '../../processor/processor.ts'
import { contextColumns, plainValue, requireUuid, userColumns } from '../event-fields/python-fields.ts'
import { isTruthy, type PyDict, type PyValue, pyText, requireDict } from '../event-fields/python-value.ts'

/** `row` has the columns of the tags already: a replay's id becomes a tag too. */
export function contextAndUserColumns(data: PyDict, row: Row): Row {
  const contexts = new Map(requireDict(data.get('contexts'), '[2].data.contexts'))
  const named = data.has('user') ? data.get('user') : data.get('sentry.interfaces.User')
  const user: PyDict = isTruthy(named) ? requireDict(named, '[2].data.user') : new Map()
  const geo = user.get('geo')
  if (!contexts.has('geo') && (!isTruthy(geo) || geo instanceof Map))
    contexts.set('geo', geo instanceof Map ? geo : new Map())
  const promoted = {
    ...appColumns(optionalDict(contexts, 'app')),
    ...profileColumns(optionalDict(contexts, 'profile')),
    ...replayColumns(optionalDict(contexts, 'replay'), row),
  }
  const { keys, values } = contextColumns(storedContexts(contexts))
  return { ...promoted, 'contexts.key': keys, 'contexts.value': values, ...userColumns(user) }
}

function appColumns(app: PyDict | undefined): Row {
  const startType = app?.get('start_type') ?? null
  return startType === null ? {} : { app_start_type: plainValue(startType) }
}

function profileColumns(profile: PyDict | undefined): Row {
  const path = '[2].data.contexts.profile'
  const profileId = profile?.get('profile_id') ?? null
  const profilerId = profile?.get('profiler_id') ?? null
  return {
    profile_id: profileId === null ? undefined : requireUuid(profileId, `${path}.profile_id`),
    profiler_id: profilerId === null ? undefined : requireUuid(profilerId, `${path}.profiler_id`),
  }
}

function replayColumns(replay: PyDict | undefined, row: Row): Row {
  const replayId = replay?.get('replay_id') ?? null
  if (replayId === null) return {}
  const uuid = requireUuid(replayId, '[2].data.contexts.replay.replay_id')
  const keys = textsOf(row['tags.key'])
  if (keys.includes('replayId')) return { replay_id: uuid }
  return {
    replay_id: uuid,
    'tags.key': [...keys, 'replayId'],
    'tags.value': [...textsOf(row['tags.value']), uuid.replaceAll('-', '')],
  }
}

/** Without what has columns of its own. */
function storedContexts(contexts: PyDict): PyDict {
  const stored = new Map(contexts)
  const trace = without(stored.get('trace'), ['trace_id', 'span_id', 'data', 'hash', 'exclusive_time'])
  const data = requireDict(stored.get('trace'), '[2].data.contexts.trace').get('data')
  const thread = data instanceof Map ? data.get('thread.id') : undefined
  if (thread !== undefined) trace.set('thread_id', thread === null ? 'None' : pyText(thread))
  stored.set('trace', trace)
  for (const [name, keys] of [
    ['app', ['start_type']],
    ['profile', ['profile_id', 'profiler_id']],
    ['replay', ['replay_id']],
  ] as const)
    if (isPresent(stored.get(name))) stored.set(name, without(stored.get(name), keys))
  return stored
}

function without(context: PyValue | undefined, keys: readonly string[]): PyDict {
  const rest = new Map(requireDict(context, '[2].data.contexts'))
  for (const key of keys) rest.delete(key)
  return rest
}

function optionalDict(contexts: PyDict, name: string): PyDict | undefined {
  const context = contexts.get(name)
  return isPresent(context) ? requireDict(context, `[2].data.contexts.${name}`) : undefined
}

function isPresent(value: PyValue | undefined): boolean {
  return value !== null && value !== undefined
}

function textsOf(value: Row[string]): string[] {
  if (!Array.isArray(value)) throw new InvalidMessage('Expected a list.')
  return value.filter((item) => typeof item === 'string')
}
