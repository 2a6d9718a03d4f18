/**
 * Errors as ClickHouse's HTTP interface shows them: a code, a name, a text and the status that follows from
 * the code. The engine's own messages sometimes carry their code twice; clients get it once.
 */

const statusByCode = new Map<number, number>([
  [194, 401],
  ...[192, 193, 497, 512, 516].map((code) => [code, 403] as const),
  ...[6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123].map((code) => [code, 400] as const),
  ...[167, 168, 223, 321, 376, 427, 441, 675, 676].map((code) => [code, 400] as const),
  ...[46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511].map((code) => [code, 404] as const),
  [159, 408],
  [381, 411],
  [229, 413],
  [779, 415],
  [48, 501],
  ...[76, 209, 439].map((code) => [code, 503] as const),
  // ClickHouse answers 500 to this one; 503 tells clients and proxies to come back later.
  [202, 503],
])

export type FailureName =
  | 'ACCESS_DENIED'
  | 'AUTHENTICATION_FAILED'
  | 'BAD_ARGUMENTS'
  | 'CANNOT_DECOMPRESS'
  | 'INCORRECT_DATA'
  | 'INTO_OUTFILE_NOT_ALLOWED'
  | 'NOT_ENOUGH_SPACE'
  | 'NOT_IMPLEMENTED'
  | 'QUERY_WAS_CANCELLED'
  | 'QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING'
  | 'READONLY'
  | 'SESSION_IS_LOCKED'
  | 'SESSION_NOT_FOUND'
  | 'SYNTAX_ERROR'
  | 'TOO_MANY_BYTES'
  | 'TOO_MANY_SIMULTANEOUS_QUERIES'
  | 'UNKNOWN_SETTING'

const codes: Record<FailureName, number> = {
  ACCESS_DENIED: 497,
  AUTHENTICATION_FAILED: 516,
  BAD_ARGUMENTS: 36,
  CANNOT_DECOMPRESS: 271,
  INCORRECT_DATA: 117,
  INTO_OUTFILE_NOT_ALLOWED: 358,
  NOT_ENOUGH_SPACE: 243,
  NOT_IMPLEMENTED: 48,
  QUERY_WAS_CANCELLED: 394,
  QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: 216,
  READONLY: 164,
  SESSION_IS_LOCKED: 373,
  SESSION_NOT_FOUND: 372,
  SYNTAX_ERROR: 62,
  TOO_MANY_BYTES: 307,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  UNKNOWN_SETTING: 115,
}

/** A request that ends with one of ClickHouse's errors. */
export class HostFailure extends Error {
  override readonly name = 'HostFailure'
  readonly code: number
  readonly codeName: string

  constructor(code: number, codeName: string, message: string) {
    super(message)
    this.code = code
    this.codeName = codeName
  }

  get status(): number {
    return statusByCode.get(this.code) ?? 500
  }

  /** The body of the answer. */
  text(version: string): string {
    return `Code: ${this.code}. DB::Exception: ${this.message} (${this.codeName}) (version ${version})\n`
  }
}

/** An error that the host itself has found. */
export function failure(name: FailureName, message: string): HostFailure {
  return new HostFailure(codes[name], name, message)
}

/** The engine's error, or any other, as a `HostFailure`. */
export function failureOf(error: unknown): HostFailure {
  if (error instanceof HostFailure) return error
  const text = error instanceof Error ? error.message : String(error)
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC')
    return failure('NOT_ENOUGH_SPACE', text)
  const code = /^Code: (\d+)\./.exec(text)
  if (code === null) return new HostFailure(1001, 'STD_EXCEPTION', text)
  const name = /\(([A-Z][A-Z0-9_]+)\)\s*$/.exec(text)
  const message = text
    .replace(/^(Code: \d+\. DB::Exception: )+/, '')
    // Where data and answers are spooled is the host's own affair.
    .replace(/\s*INTO OUTFILE '[^'\n]*' APPEND\s*(FORMAT \w+)?/g, '')
    .replace(/: \(in file\/uri [^)\n]*\)/g, '')
    .replace(/\s*\(version [^)]*\)\.?/g, '')
    .replace(/(\s*\.?\s*\([A-Z][A-Z0-9_]+\)\.?)+\s*$/, '')
  return new HostFailure(Number(code[1]), name?.[1] ?? 'UNKNOWN_EXCEPTION', message)
}
