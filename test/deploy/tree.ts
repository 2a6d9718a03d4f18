/** The files of deployment as tests read them, and what the program knows of settings, commands and roles. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { commands } from '../../src/cli/commands.ts'
import { type Config, configSchema } from '../../src/platform/config/config.ts'
import { loadConfig } from '../../src/platform/config/load.ts'
import { settingsOf } from '../../src/platform/config/settings.ts'

const root = new URL('../../', import.meta.url)

export const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
export const exists = (path: string): boolean => existsSync(new URL(path, root))
export const find = (pattern: string): string[] => globSync(pattern, { cwd: root }).sort()
export const readYaml = (path: string): unknown => parse(read(path), { merge: true })

/** Every document of a file; one that does not parse throws. */
export function readDocuments(path: string): unknown[] {
  return parseAllDocuments(read(path), { merge: true }).map((document) => {
    const [error] = document.errors
    if (error !== undefined) throw error
    return document.toJS()
  })
}

export const packageFile = z
  .object({
    version: z.string(),
    engines: z.object({ node: z.string() }),
    optionalDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read('package.json')))

const settings = settingsOf(configSchema)
const known = new Set(settings.flatMap(({ environmentNames }) => environmentNames))

/** Names of variables that are no setting. */
export function unknownVariables(names: Iterable<string>): string[] {
  return [...names].filter((name) => !known.has(name.replace(/_FILE$/, '')) && !known.has(name))
}

/** Whether a variable holds a secret, by the setting that it is of. */
export function isSecret(name: string): boolean {
  return settings.some((setting) => setting.isSecret && setting.environmentNames.includes(name))
}

/** The settings as a process would have them; what the program would refuse at its start is thrown. */
export function settingsFor(environment: Record<string, string>, words: readonly string[]): Config {
  const roles = words[words.indexOf('--roles') + 1]
  const flags = words.includes('--roles') && roles !== undefined ? { roles } : {}
  return loadConfig(configSchema, { environment, flags }).config
}

/** A sentence for each thing that is wrong with how the program is called. */
export function wrongCall(words: readonly string[]): string[] {
  const [name = '', ...rest] = words
  const command = commands.find((one) => one.name === name)
  if (command === undefined) return [`there is no command ${name}`]
  return rest
    .filter((word) => word.startsWith('--'))
    .map((word) => word.slice(2))
    .filter((option) => command.options[option] === undefined)
    .map((option) => `${name} has no option --${option}`)
}

/** `postgres:17.6` is pinned; `postgres`, `postgres:latest` and `postgres:17` may be another tomorrow. */
export function isPinned(image: string): boolean {
  return /^[\w./-]+:v?\d+\.\d+[\w.-]*$/.test(image)
}

export const defaults: Config = settingsFor({}, [])
