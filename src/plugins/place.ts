/** Where in the author's own source something happened. */

export type SourceText = { name: string; text: string }
export type Place = { line: number; text: string }

const quotedCharsMax = 120

/** The topmost position in a stack that lies in the source. */
export function findPlace({ name, text }: SourceText, stack: string): Place | undefined {
  for (const row of stack.split('\n')) {
    const at = row.lastIndexOf(`${name}:`)
    const line = at < 0 ? undefined : /^\d+/.exec(row.slice(at + name.length + 1))?.[0]
    if (line !== undefined) return { line: Number(line), text: lineText(text, Number(line)) }
  }
  return undefined
}

/** `plugin.ts:3: return event` */
export function quoteLine({ name, text }: SourceText, line: number): string {
  return `${name}:${line}: ${lineText(text, line)}`
}

function lineText(text: string, line: number): string {
  const found = (text.split('\n')[line - 1] ?? '').trim()
  return found.length > quotedCharsMax ? `${found.slice(0, quotedCharsMax)}…` : found
}
