/**
 * Cuts a `multipart/form-data` body that is in memory into its parts (RFC 7578 on RFC 2046). Written here
 * because the answer must tell each part's `Content-Encoding`, which the streaming parsers do not give.
 */
export type FormPart = {
  name: string
  contentType: string | undefined
  contentEncoding: string | undefined
  bytes: Buffer
}

/** Why a body is no multipart form. */
export class MultipartError extends Error {
  override readonly name = 'MultipartError'
}

const lineEnd = '\r\n'
const boundaryCharsMax = 70
const partHeaderBytesMax = 16_384

/** The boundary that a `Content-Type` names. Throws a `MultipartError`. */
export function readBoundary(contentType: string): string {
  const match = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  const boundary = match?.[1] ?? match?.[2]
  if (boundary === undefined || boundary.length > boundaryCharsMax)
    throw new MultipartError('Content-Type has no usable boundary')
  return boundary
}

/** Throws a `MultipartError`. Parts share the memory of `body`. */
export function parseMultipart(body: Buffer, boundary: string, partsMax: number): FormPart[] {
  const delimiter = Buffer.from(`--${boundary}`)
  const parts: FormPart[] = []
  let at = body.indexOf(delimiter)
  if (at === -1 || (at > 0 && body.toString('latin1', at - 2, at) !== lineEnd))
    throw new MultipartError('the body does not begin with the boundary')
  for (;;) {
    const afterDelimiter = at + delimiter.length
    if (body.toString('latin1', afterDelimiter, afterDelimiter + 2) === '--') return parts
    const headersAt = skipPadding(body, afterDelimiter)
    const end = body.indexOf(`${lineEnd}--${boundary}`, headersAt - 2, 'latin1')
    if (end === -1) throw new MultipartError('the last part is not closed')
    if (parts.length >= partsMax) throw new MultipartError(`more than ${partsMax} parts`)
    parts.push(readPart(body.subarray(headersAt, Math.max(end, headersAt))))
    at = end + lineEnd.length
  }
}

/** After a delimiter may stand blanks, then the line ends. */
function skipPadding(body: Buffer, at: number): number {
  let next = at
  while (body[next] === 0x20 || body[next] === 0x09) next++
  if (body.toString('latin1', next, next + 2) !== lineEnd)
    throw new MultipartError('a boundary line has more than the boundary')
  return next + 2
}

function readPart(part: Buffer): FormPart {
  const isBare = part.toString('latin1', 0, 2) === lineEnd
  const headersEnd = isBare ? 0 : part.indexOf('\r\n\r\n')
  if (headersEnd === -1 || headersEnd > partHeaderBytesMax)
    throw new MultipartError('a part has no end of its headers')
  const headers = new Map<string, string>()
  for (const line of part.toString('utf8', 0, headersEnd).split(lineEnd)) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  const name = partName(headers.get('content-disposition') ?? '')
  return {
    name,
    contentType: headers.get('content-type'),
    contentEncoding: headers.get('content-encoding'),
    bytes: part.subarray(headersEnd + (isBare ? 2 : 4)),
  }
}

function partName(disposition: string): string {
  const match = /^form-data\b.*?;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(disposition)
  const name = match?.[1]?.replace(/\\(["\\])/g, '$1').replaceAll('%22', '"') ?? match?.[2]
  if (name === undefined) throw new MultipartError('a part has no name')
  return name
}
