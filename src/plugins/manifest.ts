/** plugin.json: what a plugin is called, where its source is, which config it asks for. */
import { z } from 'zod'
import { RowmillError } from '../errors/rowmill-error.ts'

const fieldSchema = z.looseObject({
  /** Entries without one are texts for the reader. */
  key: z.string().optional(),
  type: z.string().optional(),
  default: z.unknown().optional(),
  required: z.boolean().optional(),
  choices: z.array(z.unknown()).optional(),
})

const manifestSchema = z.looseObject({
  name: z.string().optional(),
  main: z.string().min(1).optional(),
  /** Older plugins write it by key. */
  config: z.union([z.array(fieldSchema), z.record(z.string(), fieldSchema)]).optional(),
})

export type PluginManifest = { main: string | undefined; fields: readonly ConfigField[] }
export type ConfigField = z.infer<typeof fieldSchema> & { key: string }

/** Throws `PLUGIN_INVALID`; `file` is said in its message. */
export function readManifest(text: string, file: string): PluginManifest {
  const { main, config = [] } = parseManifest(text, file)
  const fields = Array.isArray(config)
    ? config
    : Object.entries(config).map(([key, field]) => ({ ...field, key }))
  return {
    main,
    fields: fields.flatMap((field) => (field.key === undefined ? [] : [{ ...field, key: field.key }])),
  }
}

function parseManifest(text: string, file: string): z.infer<typeof manifestSchema> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new RowmillError('PLUGIN_INVALID', `${file} is not JSON.`, { cause })
  }
  const parsed = manifestSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const place = issue === undefined ? '' : `: ${issue.path.join('.')} ${issue.message}`
  throw new RowmillError('PLUGIN_INVALID', `${file} is no plugin.json${place}.`)
}

export type SettledConfig = {
  config: Record<string, unknown>
  /** A sentence for each thing that is wrong. */
  problems: string[]
  /** Keys that plugin.json does not have. */
  strangers: string[]
}

/** Fills in defaults and looks whether what is required is there. */
export function settleConfig(
  fields: readonly ConfigField[],
  given: Readonly<Record<string, unknown>>,
  attachments: ReadonlySet<string>,
): SettledConfig {
  const config: Record<string, unknown> = { ...given }
  const problems: string[] = []
  for (const { key, type, default: otherwise, required, choices } of fields) {
    const isAttachment = type === 'attachment'
    if (!isAttachment && config[key] === undefined && otherwise !== undefined) config[key] = otherwise
    const value = config[key]
    const isThere = isAttachment
      ? attachments.has(key)
      : value !== undefined && value !== null && value !== ''
    if (required === true && !isThere)
      problems.push(
        isAttachment
          ? `The plugin requires the attachment ${key}: give --attachment ${key}=FILE.`
          : `The plugin requires the config key ${key}.`,
      )
    if (type === 'choice' && isThere && choices !== undefined && !choices.includes(value))
      problems.push(`The config key ${key} is one of ${choices.join(', ')}, not ${JSON.stringify(value)}.`)
  }
  const known = new Set(fields.map(({ key }) => key))
  return { config, problems, strangers: Object.keys(given).filter((key) => !known.has(key)) }
}
