/**
 * The blocks of a guide that a test carries out: commands as they stand, in the order of the page, and the
 * edits that the page tells its reader to make.
 */
import { readFileSync } from 'node:fs'

export type GuideStep =
  | { kind: 'run'; script: string }
  /** Left running until the end. */
  | { kind: 'background'; script: string }
  /** Run again until its output holds the text. */
  | { kind: 'until'; script: string; text: string }
  /** New lines behind the line that holds a text, or in its place. */
  | { kind: 'edit'; file: string; how: 'after' | 'replace'; line: string; text: string }

export function readGuide(page: string): GuideStep[] {
  const markdown = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
  return [...markdown.matchAll(/^```(\w+)(.*)\n([\s\S]*?)^```$/gm)].flatMap(
    ([, language = '', marks = '', text = '']) => stepOf(language, marks, text) ?? [],
  )
}

function stepOf(language: string, marks: string, text: string): GuideStep | undefined {
  const mark = (name: string) => new RegExp(`${name}="?((?<=")[^"]*|[^" ]+)`).exec(marks)?.[1]
  const file = mark('edit')
  if (file !== undefined) {
    const after = mark('after')
    const line = after ?? mark('replace') ?? ''
    return { kind: 'edit', file, how: after === undefined ? 'replace' : 'after', line, text }
  }
  if (language !== 'sh') return undefined
  if (marks.includes('background')) return { kind: 'background', script: text }
  const until = mark('until')
  return until === undefined ? { kind: 'run', script: text } : { kind: 'until', script: text, text: until }
}
