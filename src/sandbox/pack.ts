/** Items and answers of a batch as one text each, so that a batch crosses every border once. */
import type { SandboxConfig } from './config.ts'
import type { PackedItems } from './messages.ts'
import { failed, type ItemResult, type LogLine, type ProgramItem } from './program.ts'

export function packItems(items: readonly ProgramItem[]): PackedItems {
  const numbers = items.map(({ text, nowMs, seed }) => `${text.length},${finite(nowMs)},${finite(seed) | 0}`)
  return {
    texts: items.map(({ text }) => text).join(''),
    numbers: `[${numbers.join(',')}]`,
    count: items.length,
  }
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0
}

/** The finished items of an answer by their index. An answer comes from where untrusted code runs: what does not fit is left out. */
export function unpackAnswers(
  answer: { ended: string; answers: string; count: number; entry: string },
  config: SandboxConfig,
): Map<number, ItemResult> {
  const results = new Map<number, ItemResult>()
  let at = 0
  for (const [, index, kind = '', length] of answer.ended.matchAll(/(\d+)([a-z])(\d+),/g)) {
    const text = answer.answers.slice(at, at + Number(length))
    at += Number(length)
    if (Number(index) < answer.count)
      results.set(Number(index), resultOf(kind, text, { ...config, entry: answer.entry }))
  }
  return results
}

function resultOf(kind: string, text: string, limits: SandboxConfig & { entry: string }): ItemResult {
  if (kind === 'v') return { kind: 'value', text }
  if (kind === 'u') return { kind: 'value', text: undefined }
  if (kind === 'e') {
    const { message, ...thrown } = thrownOf(text)
    return failed('thrown', message, thrown)
  }
  if (kind === 'w') return failed('timeout', `The program waited longer than ${limits.itemWaitMs} ms.`)
  if (kind === 'l')
    return failed(
      'too_large',
      `The result is longer than ${limits.resultCharsMax} characters, or all of them are than ${limits.answerCharsMax}.`,
    )
  if (kind === 'm') return failed('missing', `The program has no function ${limits.entry}.`)
  return failed('invalid', 'The item is not valid JSON.')
}

export type Thrown = { name: string; message: string; stack: string }

/** What the program threw, with the frames that are its own. */
export function thrownOf(json: string): Thrown {
  const value: unknown = json === '' ? undefined : JSON.parse(json)
  const text = (key: string): string => {
    const found: unknown = value !== null && typeof value === 'object' ? Reflect.get(value, key) : undefined
    return typeof found === 'string' ? found : ''
  }
  return { name: text('name'), message: text('message'), stack: ownFrames(text('stack')) }
}

/** Frames of the sandbox say nothing to an author. */
function ownFrames(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => !/^ +at .*(rowmill:(sandbox|library)|\(<isolated-vm boundary>\))/.test(line))
    .join('\n')
}

export function unpackLogs(json: string): { lines: LogLine[]; linesLost: number } {
  const values: unknown = json === '' ? [0] : JSON.parse(json)
  if (!Array.isArray(values)) return { lines: [], linesLost: 0 }
  const [lost, ...entries] = values
  const lines = entries.flatMap((entry): LogLine[] =>
    Array.isArray(entry) && typeof entry[0] === 'string' && typeof entry[1] === 'string'
      ? [{ level: entry[0], text: entry[1] }]
      : [],
  )
  return { lines, linesLost: typeof lost === 'number' ? lost : 0 }
}
