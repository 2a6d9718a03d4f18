/** The project token of a request: where it may stand, and what it must look like. Nobody looks up here whether a project has it. */
import { RowmillError } from '../errors/rowmill-error.ts'

const tokenBytesMax = 64
const ascii = /^\p{ASCII}*$/u

/** The token itself, or `TOKEN_INVALID` with the sentence that clients know. */
export function validateToken(token: string): string {
  const reason =
    token === ''
      ? 'empty'
      : token.length > tokenBytesMax
        ? 'too_long'
        : !ascii.test(token)
          ? 'not_ascii'
          : token.startsWith('phx_')
            ? 'personal_api_key'
            : undefined
  if (reason !== undefined) throw new RowmillError('TOKEN_INVALID', `API key is not valid: ${reason}`)
  return token
}

/**
 * The one token of a request. A batch's own token wins outright; else all events that have one must agree, and
 * events without one belong to it too.
 */
export function chooseToken(
  batchToken: string | undefined,
  eventTokens: Iterable<string | undefined>,
): string {
  if (batchToken !== undefined) return validateToken(batchToken)
  let chosen: string | undefined
  for (const token of eventTokens) {
    if (token === undefined || token === chosen) continue
    if (chosen !== undefined)
      throw new RowmillError('TOKEN_INVALID', 'batch submitted with inconsistent api_key values')
    chosen = token
  }
  if (chosen === undefined) throw new RowmillError('TOKEN_INVALID', 'event submitted without an api_key')
  return validateToken(chosen)
}
