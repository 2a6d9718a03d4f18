/** Output for people on a terminal: aligned tables, a little colour, a progress bar. */
import type { Terminal } from './command.ts'

export type Column<Row> = { title: string; value: (row: Row) => string; isNumber?: boolean }

/** An aligned table. Long cells of the last column are cut at the terminal's edge. */
export function table<Row>(
  terminal: Terminal,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): string {
  const cells = rows.map((row) => columns.map((column) => clean(column.value(row))))
  const widths = columns.map((column, at) =>
    Math.max(column.title.length, ...cells.map((row) => row[at]?.length ?? 0)),
  )
  const line = (row: readonly string[], paint: (text: string) => string): string => {
    const padded = row.map((cell, at) =>
      columns[at]?.isNumber === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
    )
    const text = padded.join('  ').trimEnd()
    return paint(
      terminal.isInteractive && terminal.columns > 1 && text.length > terminal.columns
        ? `${text.slice(0, terminal.columns - 1)}…`
        : text,
    )
  }
  const title = line(
    columns.map((column) => column.title),
    (text) => colour(terminal, 'dim', text),
  )
  return `${[title, ...cells.map((row) => line(row, (text) => text))].join('\n')}\n`
}

/** Control characters in data, and those that turn the direction of text, must not reach the terminal. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '·')
}

const codes = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const

export function colour(terminal: Terminal, name: keyof typeof codes, text: string): string {
  return terminal.hasColour ? `\u001b[${codes[name]}m${text}\u001b[0m` : text
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** A bar that redraws itself; silent where the output is no terminal. */
export function progress(
  terminal: Terminal,
  label: string,
): { at: (fraction: number, note: string) => void; end: () => void } {
  let isDrawn = false
  return {
    at(fraction, note) {
      if (!terminal.isInteractive) return
      const width = 24
      const full = Math.round(Math.max(0, Math.min(1, fraction)) * width)
      const text = `${label} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${note}`
      terminal.err(`\r\u001b[2K${text.slice(0, Math.max(1, terminal.columns - 1))}`)
      isDrawn = true
    },
    end() {
      if (isDrawn) terminal.err('\r\u001b[2K')
    },
  }
}
