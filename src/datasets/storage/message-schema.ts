/**
 * The JSON Schema of a storage's messages, draft 2020-12 or 07. Compiled only where it is used: for a check of
 * the storage, or in front of a processor.
 */
import type { ErrorObject, ValidateFunction } from 'ajv'

export type MessageSchema = Readonly<Record<string, unknown>>

/** Where and why a message does not fit: `[2].project_id`, empty for the message as a whole. */
export type SchemaMismatch = { path: string; message: string }

/** Says why a parsed message does not fit the schema, or nothing. */
export type CheckMessage = (message: unknown) => SchemaMismatch | undefined

/** Throws an `Error` if it is no JSON Schema. `format` only informs: no format is checked. */
export async function compileMessageSchema(schema: MessageSchema): Promise<CheckMessage> {
  const isDraft07 = typeof schema.$schema === 'string' && schema.$schema.includes('draft-07')
  const { Ajv } = isDraft07 ? await import('ajv') : { Ajv: (await import('ajv/dist/2020.js')).Ajv2020 }
  const validate: ValidateFunction = new Ajv({
    strict: false,
    validateFormats: false,
    allowUnionTypes: true,
    logger: false,
  }).compile(schema)
  return (message) => (validate(message) ? undefined : mismatchOf(validate.errors?.[0]))
}

function mismatchOf(error: ErrorObject | undefined): SchemaMismatch {
  const path = (error?.instancePath ?? '')
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((text, part) => {
      if (/^\d+$/.test(part)) return `${text}[${part}]`
      return text === '' ? part : `${text}.${part}`
    }, '')
  return { path, message: error?.message ?? 'does not fit' }
}
