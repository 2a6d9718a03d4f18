import type { IncomingHttpHeaders } from 'node:http'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { validateToken } from '../token.ts'

/** The project token in an `Authorization: Bearer` header, or `TOKEN_INVALID`. */
export function bearerToken(headers: IncomingHttpHeaders): string {
  const token = /^bearer (.*)$/i.exec(headers.authorization ?? '')?.[1]?.trim()
  if (token === undefined) throw new RowmillError('TOKEN_INVALID', 'event submitted without an api_key')
  return validateToken(token)
}
