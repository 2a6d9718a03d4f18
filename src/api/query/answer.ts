/**
 * Turns the warehouse's stream of rows, one JSON array a line, into the answer's JSON, without holding more
 * than a piece of it. What fails before the first row has a status of its own; later, the answer ends with a
 * field `error` and is still JSON.
 */
import { Readable } from 'node:stream'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { ProblemBody } from '../problem.ts'

type Describe = (error: unknown) => ProblemBody

/** Waits for the head of the answer and throws what the query failed with until then. */
export async function openAnswer(stream: Readable, describe: Describe): Promise<Readable> {
  const lines = linesOf(stream)
  try {
    const names = parseNames((await lines.next()).value)
    const types = parseNames((await lines.next()).value)
    const pairs = names.map((name, index) => [name, types[index] ?? ''])
    const head = `{"columns":${JSON.stringify(names)},"types":${JSON.stringify(pairs)},"results":[`
    // The first rows show whether the query fails at once.
    const first = await lines.next()
    return Readable.from(answerParts({ head, first, lines, describe }), { objectMode: false }).once(
      'close',
      () => stream.destroy(),
    )
  } catch (error) {
    stream.destroy()
    throw error
  }
}

/** Lines in pieces of many: the first two pieces are one line each. Bytes stand as Latin-1 characters. */
async function* linesOf(stream: Readable): AsyncGenerator<string, undefined> {
  let carry = ''
  let headLines = 2
  for await (const chunk of stream) {
    carry += Buffer.isBuffer(chunk) ? chunk.toString('latin1') : String(chunk)
    for (; headLines > 0; headLines -= 1) {
      const end = carry.indexOf('\n')
      if (end < 0) break
      yield carry.slice(0, end)
      carry = carry.slice(end + 1)
    }
    const end = headLines === 0 ? carry.lastIndexOf('\n') : -1
    if (end < 0) continue
    yield carry.slice(0, end)
    carry = carry.slice(end + 1)
  }
  if (carry !== '') yield carry
  return undefined
}

type Parts = {
  head: string
  first: IteratorResult<string, undefined>
  lines: AsyncGenerator<string, undefined>
  describe: Describe
}

async function* answerParts({ head, first, lines, describe }: Parts): AsyncGenerator<Buffer> {
  yield Buffer.from(head, 'utf8')
  let separator = ''
  let isBroken = false
  try {
    for (let part = first; part.done !== true; part = await lines.next()) {
      if (isBroken) continue
      const rows = part.value.split('\n')
      const whole = rows.filter((row) => row.startsWith('[') && row.endsWith(']'))
      // What is no row is the beginning of an error, which the stream throws at its end.
      isBroken = whole.length < rows.length
      if (whole.length === 0) continue
      yield Buffer.from(separator + whole.join(',\n'), 'latin1')
      separator = ',\n'
    }
    if (isBroken) throw new TypeError('The warehouse sent something that is no row.')
    yield Buffer.from(']}\n')
  } catch (error) {
    const problem = isRowmillError(error) ? describe(error) : broken
    yield Buffer.from(`],"error":${JSON.stringify(problem)}}\n`, 'utf8')
  }
}

const broken = { type: 'server_error', code: 'stream_broken', detail: 'The answer broke off.', attr: null }

function parseNames(line: string | undefined): string[] {
  if (line === undefined) return []
  return JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as string[]
}
