/** Exceptions, their frames and threads, for the plain processor of errors. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import type { Row } from '../../../src/datasets/processor/processor.ts'
import { boolean, Fields, fields, type Json, listOf, type Read, unsigned } from './strict-json.ts'
import { nullable, ofEither, unicodify } from './unicodify.ts'

type Frame = Readonly<Record<string, string | boolean | bigint | null>>
type Stack = {
  type: string | null
  value: string | null
  mechanismType: string | null
  handled: number | null
  threadId: string | bigint | undefined
  frames: Frame[]
}
type Thread = { id: string | bigint | undefined; main: boolean | undefined }

const frameTexts = ['abs_path', 'filename', 'package', 'module', 'function']
const frameColumns = [...frameTexts, 'in_app', 'colno', 'lineno']

export function stackColumns(data: Fields, isBlacklisted: boolean): Row {
  const exception = ofEither(data, 'exception', 'sentry.interfaces.Exception').optional('exception', fields)
  const given = (exception?.optional('values', listOf(nullable(stack))) ?? []).filter((one) => one !== null)
  const threads = ofEither(data, 'threads', 'sentry.interfaces.Threads').optional('threads', fields)
  const known = (threads?.optional('values', listOf(nullable(thread))) ?? []).filter((one) => one !== null)
  const stacks = isBlacklisted ? [] : given
  const frames = stacks.flatMap(({ frames }, level) => frames.map((frame) => ({ frame, level })))
  const row: Record<string, Row[string]> = {
    'exception_stacks.type': stacks.map(({ type }) => type),
    'exception_stacks.value': stacks.map(({ value }) => value),
    'exception_stacks.mechanism_type': stacks.map(({ mechanismType }) => mechanismType),
    'exception_stacks.mechanism_handled': stacks.map(({ handled }) => handled),
    'exception_frames.stack_level': frames.map(({ level }) => level % 0x1_0000),
    exception_main_thread: isMainThread(stacks, known),
  }
  for (const name of frameColumns)
    row[`exception_frames.${name}`] = frames.map(({ frame }) => frame[name] ?? null)
  return row
}

/** Whether a thread of an exception is the main one; unknown if none of theirs is told. */
function isMainThread(stacks: readonly Stack[], threads: readonly Thread[]): boolean | undefined {
  const told = threads.filter(({ id, main }) => id !== undefined && main !== undefined)
  const withThread = stacks.filter(({ threadId }) => threadId !== undefined)
  if (told.length === 0 || withThread.length === 0) return undefined
  return withThread.some(({ threadId }) => told.some(({ id, main }) => main === true && id === threadId))
}

const stack: Read<Stack> = (value, path) => {
  const from = fields(value, path)
  const mechanism = from.optional('mechanism', fields) ?? new Fields()
  const trace = from.optional('stacktrace', fields) ?? new Fields()
  return {
    type: from.withDefault('type', unicodify, null),
    value: from.withDefault('value', unicodify, null),
    mechanismType: mechanism.withDefault('type', unicodify, null),
    handled: mechanism.withDefault('handled', handled, null),
    threadId: from.optional('thread_id', threadId),
    frames: (trace.optional('frames', listOf(nullable(frame))) ?? []).filter((one) => one !== null),
  }
}

/** Only true and false say something; texts never do, whatever they are. */
const handled: Read<number | null> = (value) => (typeof value === 'boolean' ? Number(value) : null)

const frame: Read<Frame> = (value, path) => {
  const from = fields(value, path)
  const texts = frameTexts.map((name) => [name, from.withDefault(name, unicodify, null)])
  return {
    ...Object.fromEntries(texts),
    in_app: from.optional('in_app', boolean) ?? null,
    colno: from.optional('colno', unsigned(32)) ?? null,
    lineno: from.withDefault('lineno', unsignedOrNull, null),
  }
}

/** What is no integer of 32 bits is null. */
const unsignedOrNull: Read<bigint | null> = (value) =>
  typeof value === 'bigint' && BigInt.asUintN(32, value) === value ? value : null

const threadId: Read<string | bigint> = (value: Json, path) => {
  if (typeof value === 'string') return value
  if (typeof value === 'bigint') return unsigned(64)(value, path)
  throw new InvalidMessage('Expected a string or an integer.', { path })
}

const thread: Read<Thread> = (value, path) => {
  const from = fields(value, path)
  return { id: from.optional('id', threadId), main: from.optional('main', boolean) }
}
