import { z } from 'zod'
import { isRange } from './addresses.ts'

const bound = (value: number, description: string, min = 1) =>
  z.number().int().min(min).default(value).meta({ description })

/** Where requests on behalf of untrusted code and users may go, and how much they may take. */
export const outboundConfigSchema = z.strictObject({
  hostsAllowed: z.array(z.string().min(1)).default([]).meta({
    description:
      'Host names that may be asked, like "example.com" or "*.example.com"; none: every public one.',
  }),
  portsAllowed: z.array(z.number().int().min(1).max(65_535)).default([]).meta({
    description: 'Ports that may be asked; none: all.',
  }),
  addressesAllowed: z
    .array(z.string().refine(isRange, 'is no address range like 10.0.0.0/8 or fd00::/8'))
    .default([])
    .meta({
      description:
        'Address ranges that may be asked although they are not public, like "10.1.2.0/24". Everything in them is within reach of every plugin.',
    }),
  requestsMax: bound(100, 'Requests under way at once.'),
  requestsWaitingMax: bound(1000, 'Requests that wait for their turn; further ones get OUTBOUND_BUSY.'),
  requestBytesMax: bound(10_485_760, 'Largest body of a request.'),
  answerBytesMax: bound(10_485_760, 'Largest body of an answer, unpacked.'),
  headerBytesMax: bound(65_536, 'Largest headers of an answer.'),
  timeoutMs: bound(30_000, 'How long a request may take altogether, with its redirects and its turn.'),
  redirectsMax: bound(5, 'Redirects that are followed.', 0),
})
export type OutboundConfig = z.infer<typeof outboundConfigSchema>
