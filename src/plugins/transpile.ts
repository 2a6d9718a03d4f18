/**
 * JavaScript and TypeScript of authors as the body of a CommonJS module that the sandbox runs. Lines stay where
 * they are, so positions in stacks are the author's own. Columns do not: types are taken out.
 */
import { transform } from 'sucrase'
import { RowmillError } from '../errors/rowmill-error.ts'
import { pluginFunctions } from './library.ts'
import { quoteLine } from './place.ts'

/** Throws `PLUGIN_INVALID` with the line of what is no TypeScript. */
export function transpilePlugin({ name, text }: { name: string; text: string }): string {
  try {
    const { code } = transform(text, { transforms: ['typescript', 'imports'], disableESTransforms: true })
    return `${code}\n${tellGlobals}`
  } catch (cause) {
    const line = lineOf(cause)
    const place = line === undefined ? name : quoteLine({ name, text }, line)
    throw new RowmillError('PLUGIN_INVALID', `The plugin cannot be read at ${place}.`, { cause })
  }
}

/** Functions that are declared and not exported count too: the first plugins were written so. */
const tellGlobals = `tellPluginFunctions({${pluginFunctions
  .map((name) => `${name}:typeof ${name}==="undefined"?undefined:${name}`)
  .join(',')}});`

function lineOf(error: unknown): number | undefined {
  const place: unknown = error instanceof Error && 'loc' in error ? error.loc : undefined
  const line: unknown =
    typeof place === 'object' && place !== null && 'line' in place ? place.line : undefined
  return typeof line === 'number' ? line : undefined
}
