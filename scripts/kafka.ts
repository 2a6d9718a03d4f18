/**
 * Apache Kafka for the tests on real engines, without a package: `node scripts/kafka.ts fetch` brings the jars
 * from Maven Central (pinned, with checksums) into `~/.cache/rowmill-test/kafka-<version>`, `start` runs a
 * broker until it is told to end and prints its address once it answers, `stop` ends the one of a folder.
 *
 *   node scripts/kafka.ts fetch [--cache DIR]
 *   node scripts/kafka.ts start [--cache DIR] [--folder DIR] [--port N]
 *   node scripts/kafka.ts stop --folder DIR
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultCacheFolder, fetchKafka, startBroker } from '../test/support/engines/kafka/broker.ts'
import { freePort } from '../test/support/engines/redis.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { cache: { type: 'string' }, folder: { type: 'string' }, port: { type: 'string' } },
})
const cacheFolder = values.cache ?? defaultCacheFolder()
const pidFile = (folder: string) => join(folder, 'runner.pid')

async function start(): Promise<void> {
  const folder = values.folder ?? join(tmpdir(), `rowmill-kafka-${process.pid}`)
  const port = values.port === undefined ? await freePort() : Number(values.port)
  const broker = await startBroker({ folder, port, controllerPort: await freePort(), cacheFolder })
  await writeFile(pidFile(folder), String(process.pid))
  process.stdout.write(`127.0.0.1:${port}\n`)
  const { promise, resolve } = Promise.withResolvers<void>()
  const ended = () => resolve()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, ended)
  await Promise.race([promise, broker.ended()])
  await broker.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}

async function stop(folder: string): Promise<void> {
  process.kill(Number(await readFile(pidFile(folder), 'utf8')), 'SIGTERM')
}

switch (positionals[0]) {
  case 'fetch':
    await fetchKafka(cacheFolder)
    process.stdout.write(`${cacheFolder}\n`)
    break
  case 'start':
    await start()
    break
  case 'stop':
    if (values.folder === undefined) throw new Error('Say which: --folder DIR.')
    await stop(values.folder)
    break
  default:
    throw new Error('node scripts/kafka.ts fetch | start | stop')
}
