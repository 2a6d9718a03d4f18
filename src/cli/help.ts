import { type Command, commonOptions, type OptionSpec } from './command.ts'

export function describeProgram(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `Rowmill: PostHog SDKs send events in, rows come out.

Usage: rowmill <command> [options]

${rows.join('\n')}

"rowmill <command> --help" tells more.
`
}

export function describeCommand(command: Command): string {
  return `${command.summary}

Usage: rowmill ${command.usage}

${describeOptions({ ...command.options, ...commonOptions })}

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the answer is no.
`
}

function describeOptions(options: Readonly<Record<string, OptionSpec>>): string {
  const shown = Object.entries(options).filter(([, spec]) => spec.refusal === undefined)
  const rows = shown.map(([name, spec]) => {
    const short = spec.short === undefined ? '' : `-${spec.short}, `
    return [
      `  ${short}--${name}${spec.placeholder === undefined ? '' : ` <${spec.placeholder}>`}`,
      spec.description,
    ] as const
  })
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`).join('\n')
}
