/**
 * A command as data: its options, its help and what it does. Exit codes are for scripts: 0 done, 1 failed,
 * 2 wrong usage, 3 the answer is no (an audit that does not balance, an event that is not found).
 */

import type { Config } from '../platform/config/config.ts'
import type { ConfigSources, LoadedConfig } from '../platform/config/load.ts'

export type OptionSpec = {
  kind: 'text' | 'flag' | 'list'
  description: string
  /** Shown in the help as `--name <placeholder>`. */
  placeholder?: string
  short?: string
  /** Known from elsewhere and of no meaning here: refused with this sentence, and not in the help. */
  refusal?: string
}

export type CommandContext = {
  /** Config from file, environment and flags, read when the command asks for it. `settings` are by path and count as flags. */
  config: (settings?: Readonly<Record<string, string>>) => LoadedConfig<Config>
  options: Readonly<Record<string, string | boolean | string[] | undefined>>
  positionals: readonly string[]
  /** Machine-readable output was asked for, or the output is no terminal. */
  isJson: boolean
  terminal: Terminal
  /** Aborts at SIGINT or SIGTERM. */
  signal: AbortSignal
  /** Aborts at the second one: what is in hand is not waited for. */
  abandon: AbortSignal
  /** Says how long a gentle stop may take. */
  tellStopLimit: (ms: number) => void
}

export type Command = {
  name: string
  summary: string
  /** `trace <uuid | distinct id>` */
  usage: string
  options: Readonly<Record<string, OptionSpec>>
  /** Words beside the options that it takes (default 0); more are wrong usage. */
  wordsMax?: number
  run: (context: CommandContext) => Promise<ExitCode>
}

export type ExitCode = 0 | 1 | 2 | 3

/** What a command writes to: the process's streams, or a test's. */
export type Terminal = {
  out: (text: string) => void
  err: (text: string) => void
  isInteractive: boolean
  hasColour: boolean
  columns: number
}

/** A mistake in how a command was called: its sentence is printed with the usage, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Options that every command takes. */
export const commonOptions: Readonly<Record<string, OptionSpec>> = {
  config: { kind: 'text', placeholder: 'file', description: 'Settings from a YAML or JSON file.' },
  set: {
    kind: 'list',
    placeholder: 'path=value',
    description: 'One setting, such as --set capture.port=9000; may be repeated.',
  },
  'data-dir': { kind: 'text', placeholder: 'folder', description: 'Where everything is kept (dataDir).' },
  json: { kind: 'flag', description: 'Print JSON.' },
  help: { kind: 'flag', short: 'h', description: 'Print this help.' },
}

/** Flags of the command line as settings. */
export function configSources(
  environment: ConfigSources['environment'],
  options: CommandContext['options'],
  shorthands: Readonly<Record<string, string>>,
): ConfigSources {
  const flags: Record<string, string> = {}
  for (const [option, path] of Object.entries(shorthands)) {
    const value = options[option]
    if (typeof value === 'string') flags[path] = value
  }
  for (const pair of Array.isArray(options.set) ? options.set : []) {
    const at = pair.indexOf('=')
    if (at < 1) throw new UsageError(`--set takes path=value, not ${JSON.stringify(pair)}.`)
    flags[pair.slice(0, at)] = pair.slice(at + 1)
  }
  const file = typeof options.config === 'string' ? options.config : undefined
  return { environment, file, flags }
}
