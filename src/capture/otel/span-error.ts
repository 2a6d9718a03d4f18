/** What a failed span says about its failure: the last exception on it, else its status. */
import type { OtlpAttributes, OtlpSpan } from './otlp.ts'

const httpStatusKeys = [
  '$ai_http_status',
  'http.response.status_code',
  'http.status_code',
  'http.status',
  'status_code',
  'error.status_code',
  'exception.status_code',
] as const

/** Adds `$ai_is_error`, `$ai_error` and `$ai_http_status` where the span's status is an error. */
export function describeError(span: OtlpSpan, properties: Map<string, unknown>): void {
  if (!span.isError) return
  const exception = span.events.findLast(
    ({ name, attributes }) =>
      name === 'exception' || attributes.has('exception.message') || attributes.has('exception.type'),
  )?.attributes
  properties.set('$ai_is_error', true)
  if (!properties.has('$ai_error')) {
    const fallback = span.statusMessage === '' ? 'OpenTelemetry span status error' : span.statusMessage
    properties.set('$ai_error', (exception && exceptionText(exception)) ?? fallback)
  }
  if (!properties.has('$ai_http_status')) {
    const status =
      (exception && (statusIn(exception) ?? statusInMessages(exception))) ??
      statusIn(properties) ??
      statusInText(span.statusMessage) ??
      500
    properties.set('$ai_http_status', status)
  }
}

function exceptionText(attributes: OtlpAttributes): string | undefined {
  const parts = [attributes.get('exception.type'), attributes.get('exception.message')]
  const texts = parts.filter((part) => typeof part === 'string' && part !== '')
  return texts.length === 0 ? undefined : texts.join(': ')
}

function statusIn(attributes: ReadonlyMap<string, unknown>): number | undefined {
  for (const key of httpStatusKeys) {
    const value = attributes.get(key)
    const status =
      typeof value === 'number' ? value : typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : 0
    if (isHttpStatus(status)) return status
  }
  return undefined
}

function statusInMessages(attributes: OtlpAttributes): number | undefined {
  for (const key of ['exception.message', 'error.message']) {
    const text = attributes.get(key)
    const status = typeof text === 'string' ? statusInText(text) : undefined
    if (status !== undefined) return status
  }
  return undefined
}

/** A number of three digits soon after the word "http" or "status". */
function statusInText(text: string): number | undefined {
  for (const word of ['http', 'status'])
    for (const match of text.toLowerCase().matchAll(new RegExp(word, 'g'))) {
      const after = text.slice(match.index + word.length, match.index + word.length + 40)
      for (const digits of after.matchAll(/\d+/g))
        if (digits[0].length === 3 && isHttpStatus(Number(digits[0]))) return Number(digits[0])
    }
  return undefined
}

function isHttpStatus(value: number): boolean {
  return Number.isInteger(value) && value >= 100 && value <= 599
}
