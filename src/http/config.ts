import { z } from 'zod'

const positive = (value: number, description: string) =>
  z.number().int().min(1).default(value).meta({ description })

/** What the server bounds. Where it listens is not here: the platform knows that. */
export const httpConfigSchema = z.strictObject({
  connectionsMax: positive(10_000, 'Open connections; further ones are closed at once.'),
  requestsInFlightMax: z.number().int().min(1).default(4_096).meta({
    description: 'Requests being read or answered; further ones get 503. Status pages are exempt.',
    env: 'CONCURRENCY_LIMIT',
  }),
  inFlightBytesMax: positive(
    268_435_456,
    'Bytes of request bodies held at once, packed and unpacked; beyond it requests get 503 with Retry-After.',
  ),
  headerBytesMax: positive(65_536, 'Largest request line with all headers.'),
  headersTimeoutMs: z.number().int().min(1).default(10_000).meta({
    description: 'How long a client may take to send its headers.',
    env: 'HTTP1_HEADER_READ_TIMEOUT_MS',
  }),
  bodyStallMs: z.number().int().min(1).default(15_000).meta({
    description: 'How long a client may pause inside a body before it gets 408.',
    env: 'BODY_CHUNK_READ_TIMEOUT_MS',
  }),
  keepAliveMs: positive(75_000, 'How long an idle connection stays open.'),
  lingerBytesMax: positive(
    67_108_864,
    'How much of a refused body is read and thrown away so that the client sees the answer.',
  ),
  retryAfterS: positive(1, 'What Retry-After says on a 503, in seconds.'),
})
export type HttpConfig = z.infer<typeof httpConfigSchema>
