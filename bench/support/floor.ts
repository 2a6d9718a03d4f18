/**
 * What the machine can do at most: a bare `node:http` server that parses each body, appends it to the log, and
 * answers when it is durable.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { topics } from '../../src/event/topics.ts'
import type { Log } from '../../src/ports/log.ts'

export async function openFloor(floorLog: Log): Promise<{ port: number } & AsyncDisposable> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
      JSON.parse(body.toString('utf8'))
      await floorLog.append([{ topic: topics.captured, key: 'k', value: body }])
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 12 })
      response.end('{"status":1}')
    })
  }
  const bare = createServer(answer)
  await new Promise<void>((resolve) => {
    bare.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (bare.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      bare.closeAllConnections()
      await new Promise((resolve) => bare.close(resolve))
    },
  }
}
