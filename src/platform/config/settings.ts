/**
 * Reads a Zod schema as a list of settings: what the environment names, `rowmill config` and the reference
 * page are derived from. The schema is the only place where a setting is described.
 */
import type { z } from 'zod'

export type Setting = {
  /** Keys from the root: `['capture', 'bodyBytesMax']`. */
  path: readonly string[]
  kind: 'text' | 'number' | 'boolean' | 'list' | 'json'
  description: string
  default: unknown
  hasDefault: boolean
  isSecret: boolean
  /** Names that operators of the original systems know, besides the derived one. */
  environmentNames: readonly string[]
}

type Unwrapped = {
  schema: z.core.$ZodType
  meta: Record<string, unknown>
  default: unknown
  hasDefault: boolean
}

export function settingsOf(schema: z.ZodType, path: readonly string[] = []): Setting[] {
  const inner = unwrap(schema)
  const def = inner.schema._zod.def as { type: string; shape?: Record<string, z.ZodType> }
  if (def.type === 'object' && def.shape !== undefined)
    return Object.entries(def.shape).flatMap(([key, child]) => settingsOf(child, [...path, key]))
  const derived = derivedName(path)
  const known = inner.meta.env
  const names = known === undefined ? [] : Array.isArray(known) ? known.map(String) : [String(known)]
  return [
    {
      path,
      kind: kindOf(def.type),
      description: String(inner.meta.description ?? ''),
      default: inner.default,
      hasDefault: inner.hasDefault,
      isSecret: inner.meta.secret === true,
      environmentNames: [derived, ...names],
    },
  ]
}

/** `log.segmentBytes` becomes `ROWMILL_LOG_SEGMENT_BYTES`. */
export function derivedName(path: readonly string[]): string {
  const words = path.map((key) => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2'))
  return `ROWMILL_${words.join('_').toUpperCase()}`
}

function kindOf(type: string): Setting['kind'] {
  if (type === 'number' || type === 'int') return 'number'
  if (type === 'boolean') return 'boolean'
  if (type === 'array') return 'list'
  if (type === 'record' || type === 'union' || type === 'object') return 'json'
  return 'text'
}

function unwrap(schema: z.ZodType): Unwrapped {
  const result: Unwrapped = { schema, meta: {}, default: undefined, hasDefault: false }
  let current: z.core.$ZodType = schema
  for (let depth = 0; depth < 16; depth++) {
    result.meta = { ...metaOf(current), ...result.meta }
    const def = current._zod.def as {
      type: string
      innerType?: z.core.$ZodType
      in?: z.core.$ZodType
      defaultValue?: unknown
    }
    if ((def.type === 'default' || def.type === 'prefault') && !result.hasDefault) {
      result.default = def.defaultValue
      result.hasDefault = true
    }
    const next = def.type === 'pipe' ? def.in : def.innerType
    if (next === undefined) break
    current = next
  }
  result.schema = current
  return result
}

function metaOf(schema: z.core.$ZodType): Record<string, unknown> {
  const read = (schema as { meta?: () => unknown }).meta
  const meta = typeof read === 'function' ? read.call(schema) : undefined
  return meta !== null && typeof meta === 'object' ? (meta as Record<string, unknown>) : {}
}
