/**
 * Config comes from defaults, then a file, then the environment, then flags; the later wins. It is read once,
 * checked whole, frozen and passed down; each value remembers where it came from.
 */
import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import type { z } from 'zod'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { type Setting, settingsOf } from './settings.ts'

export type ConfigSources = {
  environment: Readonly<Record<string, string | undefined>>
  /** `--config`: JSON or YAML. */
  file?: string | undefined
  /** Flags by setting path, as text: `{ 'capture.bodyBytesMax': '1000' }`. */
  flags?: Readonly<Record<string, string>>
}

export type EffectiveSetting = Setting & { value: unknown; origin: string }
export type LoadedConfig<T> = {
  config: T
  settings: EffectiveSetting[]
  /** Variables that look like settings and are none. They are told, not refused: others may have set them. */
  strayVariables: string[]
  /** Variables of settings that Kubernetes has set for a service of that name, to its address. They are not taken. */
  serviceLinks: string[]
}

export function loadConfig<S extends z.ZodType>(
  schema: S,
  sources: ConfigSources,
): LoadedConfig<z.output<S>> {
  const settings = settingsOf(schema)
  const origins = new Map<string, string>()
  const tree = readFileTree(sources.file)
  for (const path of leafPaths(tree)) origins.set(path, `file ${sources.file}`)
  for (const setting of settings) {
    const given = fromEnvironment(setting, sources.environment)
    if (given === undefined) continue
    setAt(tree, setting.path, parseText(setting, given.text, given.origin))
    origins.set(setting.path.join('.'), given.origin)
  }
  for (const [path, text] of Object.entries(sources.flags ?? {})) {
    const setting = settings.find((candidate) => candidate.path.join('.') === path)
    if (setting === undefined) throw invalid(`There is no setting ${path}; "rowmill config" lists them all.`)
    setAt(tree, setting.path, parseText(setting, text, `flag --set ${path}`))
    origins.set(path, 'flag')
  }
  const parsed = schema.safeParse(tree)
  if (!parsed.success) throw invalid(explain(parsed.error, { tree, origins, settings }))
  const config = deepFreeze(parsed.data)
  return {
    config,
    strayVariables: strayVariables(settings, sources.environment),
    serviceLinks: serviceLinks(settings, sources.environment),
    settings: settings.map((setting) => ({
      ...setting,
      value: getAt(config, setting.path),
      origin: origins.get(setting.path.join('.')) ?? 'default',
    })),
  }
}

function readFileTree(file: string | undefined): Record<string, unknown> {
  if (file === undefined) return {}
  try {
    const tree: unknown = parseYaml(readFileSync(file, 'utf8')) ?? {}
    if (isObject(tree)) return tree
  } catch (cause) {
    throw new RowmillError('CONFIG_INVALID', `The config file ${file} could not be read.`, { cause })
  }
  throw invalid(`The config file ${file} must hold a mapping of settings.`)
}

/** The variable that is set, the derived name first. `NAME_FILE` names a file that holds the value. */
function fromEnvironment(
  setting: Setting,
  environment: ConfigSources['environment'],
): { text: string; origin: string } | undefined {
  for (const name of setting.environmentNames) {
    const text = environment[name]
    if (isServiceLink(name, text)) continue
    if (text !== undefined && text !== '') return { text, origin: `environment ${name}` }
    const file = environment[`${name}_FILE`]
    if (file === undefined || file === '') continue
    try {
      return { text: readFileSync(file, 'utf8').trim(), origin: `environment ${name}_FILE` }
    } catch (cause) {
      throw new RowmillError('CONFIG_INVALID', `${name}_FILE names ${file}, which could not be read.`, {
        cause,
      })
    }
  }
  return undefined
}

function parseText(setting: Setting, text: string, origin: string): unknown {
  const wrong = (expected: string) =>
    invalid(
      `${setting.path.join('.')} (${origin}) must be ${expected}, but it is ${setting.isSecret ? '***' : JSON.stringify(text)}.`,
    )
  if (setting.kind === 'number') {
    const value = Number(text)
    if (text.trim() === '' || !Number.isFinite(value)) throw wrong('a number')
    return value
  }
  if (setting.kind === 'boolean') {
    if (/^(true|1|yes|on)$/i.test(text)) return true
    if (/^(false|0|no|off)$/i.test(text)) return false
    throw wrong('true or false')
  }
  if (setting.kind === 'list' && !text.startsWith('['))
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  if (setting.kind === 'json' || setting.kind === 'list') {
    try {
      return JSON.parse(text)
    } catch {
      throw wrong('JSON')
    }
  }
  return text
}

function strayVariables(settings: readonly Setting[], environment: ConfigSources['environment']): string[] {
  const known = new Set(
    settings.flatMap(({ environmentNames }) => environmentNames.flatMap((name) => [name, `${name}_FILE`])),
  )
  const isKubernetes = isServiceLink('ROWMILL_PORT', environment.ROWMILL_PORT)
  return Object.keys(environment).filter(
    (name) =>
      name.startsWith('ROWMILL_') && !known.has(name) && !(isKubernetes && serviceVariable.test(name)),
  )
}

/** What Kubernetes sets beside `ROWMILL_PORT` for a service that is called rowmill. */
const serviceVariable = /^ROWMILL_(SERVICE_(HOST|PORT)\w*|PORT_\d+_\w+)$/

/** For a service called rowmill Kubernetes sets `ROWMILL_PORT=tcp://10.0.0.1:8000` in every pod beside it. */
function isServiceLink(name: string, text: string | undefined): boolean {
  return name.startsWith('ROWMILL_') && /^(tcp|udp|sctp):\/\//.test(text ?? '')
}

function serviceLinks(settings: readonly Setting[], environment: ConfigSources['environment']): string[] {
  return settings
    .flatMap(({ environmentNames }) => environmentNames)
    .filter((name) => isServiceLink(name, environment[name]))
}

type Given = {
  tree: Record<string, unknown>
  origins: ReadonlyMap<string, string>
  settings: readonly Setting[]
}

function explain(error: z.ZodError, { tree, origins, settings }: Given): string {
  return error.issues
    .map((issue) => {
      const path = issue.path.join('.')
      if (issue.code === 'unrecognized_keys') {
        const names = issue.keys.map((key) => (path === '' ? key : `${path}.${key}`)).join(', ')
        return `There is no setting ${names}; "rowmill config" lists them all.`
      }
      const origin = origins.get(path)
      const setting = settings.find((candidate) => candidate.path.join('.') === path)
      if (setting === undefined)
        return issue.code === 'custom' || path === '' ? issue.message : `${path}: ${issue.message}.`
      const value = setting.isSecret ? '***' : JSON.stringify(getAt(tree, setting.path))
      return `${path} (${origin ?? 'default'}) is ${value}: ${issue.message}.`
    })
    .join(' ')
}

function invalid(message: string): RowmillError {
  return new RowmillError('CONFIG_INVALID', message)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function leafPaths(tree: unknown, path: readonly string[] = []): string[] {
  if (!isObject(tree)) return [path.join('.')]
  return Object.entries(tree).flatMap(([key, value]) => leafPaths(value, [...path, key]))
}

function setAt(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path
  if (rest.length === 0) {
    tree[key] = value
    return
  }
  const child = tree[key]
  const branch: Record<string, unknown> = isObject(child) ? child : {}
  tree[key] = branch
  setAt(branch, rest, value)
}

function getAt(tree: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), tree)
}

function deepFreeze<T>(value: T): T {
  if (isObject(value) && Object.getPrototypeOf(value) === Object.prototype)
    for (const child of Object.values(value)) deepFreeze(child)
  return Object.freeze(value)
}
