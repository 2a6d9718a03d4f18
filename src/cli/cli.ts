/** The command line: finds the command, reads its options, runs it, turns what it throws into an exit code. */
import { parseArgs } from 'node:util'
import { isRowmillError } from '../errors/rowmill-error.ts'
import { configSchema } from '../platform/config/config.ts'
import { loadConfig } from '../platform/config/load.ts'
import {
  type Command,
  commonOptions,
  configSources,
  type ExitCode,
  type OptionSpec,
  type Terminal,
  UsageError,
} from './command.ts'
import { commands } from './commands.ts'
import { describeCommand, describeProgram } from './help.ts'

type Invocation = {
  arguments: readonly string[]
  environment: Readonly<Record<string, string | undefined>>
  terminal: Terminal
  signal: AbortSignal
  /** See `CommandContext`. */
  abandon?: AbortSignal
  onStopLimit?: (ms: number) => void
}

/** Settings that have a short option of their own. */
const shorthands = { 'data-dir': 'dataDir', host: 'host', port: 'port', roles: 'roles' } as const

export async function runCli(invocation: Invocation): Promise<ExitCode> {
  const { terminal } = invocation
  const [name, ...rest] = invocation.arguments
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const about = commands.find((candidate) => candidate.name === rest[0])
    terminal.out(about === undefined ? describeProgram(commands) : describeCommand(about))
    return name === undefined ? 2 : 0
  }
  const command = commands.find((candidate) => candidate.name === (name === '--version' ? 'version' : name))
  if (command === undefined) {
    terminal.err(`There is no command ${name}. "rowmill help" lists them.\n`)
    return 2
  }
  try {
    return await runCommand(command, rest, invocation)
  } catch (error) {
    // What an interrupt breaks off is no failure to explain.
    if (invocation.signal.aborted && !(error instanceof UsageError) && !isRowmillError(error)) return 1
    return explain(error, command, terminal)
  }
}

async function runCommand(
  command: Command,
  rest: readonly string[],
  invocation: Invocation,
): Promise<ExitCode> {
  refuseForeign(command, rest)
  const { options, positionals } = readArguments(command, rest)
  if (options.help === true) {
    invocation.terminal.out(describeCommand(command))
    return 0
  }
  const [surplus] = positionals.slice(command.wordsMax ?? 0)
  if (surplus !== undefined) throw new UsageError(`${command.name} does not know what to do with ${surplus}.`)
  return command.run({
    options,
    positionals,
    isJson: options.json === true || !invocation.terminal.isInteractive,
    terminal: invocation.terminal,
    signal: invocation.signal,
    abandon: invocation.abandon ?? new AbortController().signal,
    tellStopLimit: (ms) => invocation.onStopLimit?.(ms),
    config: (settings = {}) => {
      const sources = configSources(invocation.environment, options, shorthands)
      const loaded = loadConfig(configSchema, { ...sources, flags: { ...settings, ...sources.flags } })
      for (const name of loaded.strayVariables)
        invocation.terminal.err(
          `${name} is set, but there is no such setting; "rowmill config" lists them all.\n`,
        )
      for (const name of loaded.serviceLinks)
        invocation.terminal.err(
          `${name} holds the address of a service, as Kubernetes sets it, and is not taken. Set enableServiceLinks: false in the pod's spec.\n`,
        )
      return loaded
    },
  })
}

/** Said before anything else, whatever follows the option. */
function refuseForeign({ options }: Command, rest: readonly string[]): void {
  for (const word of rest) {
    const name = word.startsWith('--') ? word.slice(2).split('=')[0] : undefined
    const refusal = name === undefined || !Object.hasOwn(options, name) ? undefined : options[name]?.refusal
    if (refusal !== undefined) throw new UsageError(`--${name} has no meaning here. ${refusal}`)
  }
}

function readArguments(command: Command, rest: readonly string[]) {
  const specs: Record<string, OptionSpec> = { ...command.options, ...commonOptions }
  try {
    const parsed = parseArgs({
      args: [...rest],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(specs).map(([key, spec]) => [
          key,
          {
            type: spec.kind === 'flag' ? ('boolean' as const) : ('string' as const),
            multiple: spec.kind === 'list',
            ...(spec.short === undefined ? {} : { short: spec.short }),
          },
        ]),
      ),
    })
    return {
      options: parsed.values as Record<string, string | boolean | string[] | undefined>,
      positionals: parsed.positionals,
    }
  } catch (cause) {
    throw new UsageError(
      cause instanceof Error ? (cause.message.split('. ')[0] ?? cause.message) : String(cause),
      { cause },
    )
  }
}

function explain(error: unknown, command: Command, terminal: Terminal): ExitCode {
  if (error instanceof UsageError) {
    terminal.err(`${error.message}\nUsage: rowmill ${command.usage}\n`)
    return 2
  }
  if (isRowmillError(error)) {
    terminal.err(`${error.code}: ${error.message}\n`)
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
      terminal.err(`  because: ${cause.message}\n`)
    return 1
  }
  terminal.err(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return 1
}
