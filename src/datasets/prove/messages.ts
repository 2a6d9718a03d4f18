/** The messages of a proof: the payloads, then made ones, half of them changed payloads, half out of the schema. */
import type { LogHeaders } from '../../event/headers.ts'
import { stringifyLossless } from '../../std/lossless-json.ts'
import { generateValues, type Schema } from './generate.ts'
import { mutate, mutateHeaders } from './mutate.ts'
import type { Payload } from './payloads.ts'
import { below, createSeededRandom } from './seeded-random.ts'

export type ProofMessage = {
  origin: 'payload' | 'mutated' | 'generated'
  name: string
  value: Buffer
  headers: LogHeaders
}

export type MessagesOptions = {
  payloads: readonly Payload[]
  schema: Schema | undefined
  generate: number
  seed: number
}

/** How many values are asked of the schema at a time. */
const valuesPerRead = 128
/** One in so many generated messages is changed as payloads are. */
const changedEvery = 4

export function* createMessages(options: MessagesOptions): Generator<ProofMessage> {
  const { payloads, schema, generate, seed } = options
  for (const payload of payloads) yield { origin: 'payload', ...payload }
  const random = createSeededRandom(seed)
  const sources = [
    ...(payloads.length > 0 ? ['mutated'] : []),
    ...(schema === undefined ? [] : ['generated']),
  ]
  const values = schema === undefined ? undefined : generated(schema, seed)
  for (let made = 0; made < generate && sources.length > 0; made++) {
    const payload = payloads[below(random, payloads.length)]
    const headers = payload === undefined ? {} : mutateHeaders(payload.headers, random)
    const name = `number ${made} of the seed ${seed}`
    if (sources[made % sources.length] === 'mutated' && payload !== undefined)
      yield {
        origin: 'mutated',
        name: `${payload.name}, ${name}`,
        value: mutate(payload.value, random),
        headers,
      }
    else {
      const value = values?.next().value ?? Buffer.from('null')
      const isChanged = below(random, changedEvery) === 0
      yield { origin: 'generated', name, value: isChanged ? mutate(value, random) : value, headers }
    }
  }
}

function* generated(schema: Schema, seed: number): Generator<Buffer, undefined> {
  for (let round = 0; ; round++)
    for (const value of generateValues(schema, { count: valuesPerRead, seed: seed + round }))
      yield Buffer.from(stringifyLossless(value))
}
