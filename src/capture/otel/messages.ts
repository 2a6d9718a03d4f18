/**
 * Conversations that instrumentations write elsewhere than in `gen_ai.input.messages`: as a list of log-like
 * `events` (the older conventions), and system prompts in `gen_ai.system_instructions`.
 */

import { measureValue, skipSpace } from '../intake/raw-json.ts'

/** Longer texts are not parsed. */
const textCharsMax = 500_000
/** Deeper values stay the text that they came in: whoever reads the event later may do it recursively. */
const nestingMax = 60

const inputRoles: Readonly<Record<string, string>> = {
  'gen_ai.system.message': 'system',
  'gen_ai.user.message': 'user',
  'gen_ai.assistant.message': 'assistant',
  'gen_ai.tool.message': 'tool',
}

/** Takes `events` away and makes `$ai_input` and `$ai_output_choices` of it where they are missing. */
export function takeOlderEvents(properties: Map<string, unknown>): void {
  if (!properties.has('events')) return
  const entries = parseText(properties.get('events'))
  properties.delete('events')
  if (!Array.isArray(entries)) return
  const inputs: { message: Record<string, unknown>; index: number }[] = []
  const choices: Record<string, unknown>[] = []
  for (const entry of entries) {
    if (!isRecord(entry)) continue
    const name = String(entry['event.name'])
    const role = Object.hasOwn(inputRoles, name) ? inputRoles[name] : undefined
    if (role !== undefined) {
      const message = {
        role: typeof entry.role === 'string' ? entry.role : role,
        ...pick(entry, ['content', 'tool_calls', 'tool_call_id']),
      }
      const index = entry['gen_ai.message.index']
      inputs.push({ message, index: typeof index === 'number' ? index : Number.NaN })
    } else if (name === 'gen_ai.choice') {
      const choice = isRecord(entry.message)
        ? { ...entry.message }
        : pick(entry, ['role', 'content', 'tool_calls'])
      if (Object.keys(choice).length > 0 || isRecord(entry.message)) choices.push(choice)
    }
  }
  // Without an index on every one, the order in which they came is all there is.
  if (inputs.every(({ index }) => Number.isFinite(index))) inputs.sort((a, b) => a.index - b.index)
  if (inputs.length > 0 && !properties.has('$ai_input'))
    properties.set(
      '$ai_input',
      inputs.map(({ message }) => message),
    )
  if (choices.length > 0 && !properties.has('$ai_output_choices'))
    properties.set('$ai_output_choices', choices)
}

/** Takes `gen_ai.system_instructions` away and puts it first in `$ai_input`, unless a system message is there. */
export function takeSystemInstructions(properties: Map<string, unknown>): void {
  const raw = properties.get('gen_ai.system_instructions')
  properties.delete('gen_ai.system_instructions')
  const content = instructionsText(raw)
  if (content === '') return
  const message = { role: 'system', content }
  const input = properties.get('$ai_input')
  if (input === undefined) properties.set('$ai_input', [message])
  else if (Array.isArray(input)) {
    const first: unknown = input[0]
    if (!isRecord(first) || first.role !== 'system') properties.set('$ai_input', [message, ...input])
  }
}

function instructionsText(raw: unknown): string {
  if (raw === undefined || raw === null) return ''
  if (typeof raw === 'string' && raw.length > textCharsMax) return ''
  const value = typeof raw === 'string' ? (parseText(raw) ?? raw) : raw
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return JSON.stringify(value)
  return value
    .map((part: unknown) =>
      isRecord(part) && part.type === 'text' && typeof part.content === 'string' ? part.content : '',
    )
    .filter((text) => text !== '')
    .join('\n\n')
}

/** The value of a JSON text, or what is no text as it is; `undefined` for what cannot be parsed. */
export function parseText(value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (value.length > textCharsMax) return undefined
  try {
    const parsed: unknown = JSON.parse(value)
    return measureValue(value, skipSpace(value, 0)).nesting > nestingMax ? undefined : parsed
  } catch {
    return undefined
  }
}

function pick(entry: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(entry, key)).map((key) => [key, entry[key]]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
