/**
 * One Kafka broker in KRaft mode as a child process: fetched from Maven Central once, formatted into a folder
 * of its own, with as many listeners as are asked for. It dies with the process that started it, also when that
 * is killed: a shell waits for the end of a pipe whose other end is here.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { waitFor } from '../../wait-for.ts'
import { kafkaJars, kafkaVersion, mavenCentral } from './jars.ts'

/** Where the jars are kept between runs, outside the tree. */
export function defaultCacheFolder(): string {
  return join(homedir(), '.cache', 'rowmill-test', `kafka-${kafkaVersion}`)
}

const downloadsMax = 4

/** Fetches what is missing in `folder` and checks what is there. Answers the jars' paths. */
export async function fetchKafka(folder = defaultCacheFolder()): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  const waiting = [...kafkaJars]
  const workers = Array.from({ length: downloadsMax }, async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await fetchJar(folder, ...next)
  })
  await Promise.all(workers)
  return kafkaJars.map(([path]) => join(folder, basename(path)))
}

async function fetchJar(folder: string, path: string, sha256: string): Promise<void> {
  const file = join(folder, basename(path))
  if ((await hashOf(file)) === sha256) return
  const answer = await fetch(new URL(path, mavenCentral))
  assert(answer.ok, `${path}: ${answer.status}`)
  const bytes = Buffer.from(await answer.arrayBuffer())
  assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256, `the checksum of ${path}`)
  // Several test files may fetch at once: each writes a file of its own and moves it into place.
  const own = `${file}.${process.pid}`
  await writeFile(own, bytes)
  await rename(own, file)
}

async function hashOf(file: string): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined)
  if (found === undefined) return undefined
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

export type BrokerOptions = {
  /** An empty folder for configuration, data and the broker's own log. */
  folder: string
  port: number
  /** Where the controller is: here, or with the first broker of the cluster. */
  controllerPort: number
  /** 1 is the broker that is the controller too. Default: 1. */
  nodeId?: number
  /** Further listeners by their lower-case name, with a port each. */
  listeners?: Readonly<Record<string, { port: number; protocol: 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL' }>>
  /** Lines for server.properties. */
  properties?: readonly string[]
  /** For SCRAM, of both kinds. */
  scramUsers?: readonly { name: string; password: string }[]
  cacheFolder?: string
  /** Memory of the Java process. */
  heapMiB?: number
  /** Starts slower and runs faster: for measurements. */
  isOptimised?: boolean
}

export type Broker = AsyncDisposable & {
  /** Resolves when the broker has ended, of itself or not. */
  ended(): Promise<void>
  start(): Promise<void>
  signal(name: NodeJS.Signals): void
  /** Ends it gently, or as a power cut would. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/**
 * Runs a command in the background, kills it when the input ends, and outlasts a request to end, which the command
 * gets too. Background jobs have no input of their own, so the guard reads a copy.
 */
const mortal = [
  'trap : TERM',
  'exec 3<&0',
  '"$@" 3<&- & child=$!',
  '(cat <&3 >/dev/null; kill -9 $child) 2>/dev/null & guard=$!',
  'while kill -0 $child 2>/dev/null; do wait $child; done',
  'kill $guard 2>/dev/null',
].join('\n')

/** Formats the storage and starts the broker. Resolves when it answers. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const jars = await fetchKafka(options.cacheFolder)
  await mkdir(join(options.folder, 'data'), { recursive: true })
  const config = join(options.folder, 'server.properties')
  await writeFile(config, propertiesOf(options).join('\n'))
  const java = javaArguments(options, jars)
  const scram = (options.scramUsers ?? []).flatMap(({ name, password }) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((kind) => [
      '--add-scram',
      `${kind}=[name=${name},password=${password}]`,
    ]),
  )
  const format = ['kafka.tools.StorageTool', 'format', '-t', 'rowmilltestcluster0000', '-c', config, ...scram]
  await runToEnd([...java, ...format], options.folder)
  return await createBroker([...java, 'kafka.Kafka', config], options)
}

async function createBroker(args: readonly string[], { folder, port }: BrokerOptions): Promise<Broker> {
  let child: ChildProcess | undefined
  const killAtExit = () => kill(child, 'SIGKILL')
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM') => {
    process.removeListener('exit', killAtExit)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.ref()
    kill(child, 'SIGCONT')
    kill(child, signal)
    await exited
    // The shell may end a moment before its command: its port must be free.
    await waitFor(async () => !(await answers(port)), { what: 'the port of the broker to be free' })
  }
  const start = async () => {
    const started = spawn('sh', ['-c', mortal, 'sh', 'java', ...args], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    child = started
    process.once('exit', killAtExit)
    const log = createWriteStream(join(folder, 'broker.log'), { flags: 'a' })
    started.stdout.pipe(log, { end: false })
    started.stderr.pipe(log)
    started.unref()
    const isUp = async () => {
      assert(started.exitCode === null, `the broker ended; see ${join(folder, 'broker.log')}`)
      return await answers(port)
    }
    await waitFor(isUp, { withinMs: 90_000, what: 'the Kafka broker' })
  }
  const broker: Broker = {
    async ended() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      child.ref()
      await once(child, 'exit')
    },
    start,
    signal: (name) => kill(child, name),
    stop,
    [Symbol.asyncDispose]: () => stop('SIGKILL'),
  }
  try {
    await start()
    return broker
  } catch (error) {
    await broker[Symbol.asyncDispose]()
    throw error
  }
}

function kill(child: ChildProcess | undefined, signal: NodeJS.Signals): void {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

function javaArguments(
  { heapMiB = 256, isOptimised = false }: BrokerOptions,
  jars: readonly string[],
): string[] {
  return [
    `-Xmx${heapMiB}m`,
    '-XX:+UseSerialGC',
    ...(isOptimised ? [] : ['-XX:TieredStopAtLevel=1']),
    '-Xshare:auto',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    '-cp',
    jars.join(':'),
  ]
}

async function runToEnd(args: readonly string[], folder: string): Promise<void> {
  const child = spawn('java', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
  const [code] = await once(child, 'close')
  assert.equal(code, 0, printed)
}

/** Whether the broker speaks Kafka there: it answers a question for its versions. */
function answers(port: number): Promise<boolean> {
  const question = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(question))
    const end = (isUp: boolean) => {
      socket.destroy()
      resolve(isUp)
    }
    socket.setTimeout(1000, () => end(false))
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}

function propertiesOf(options: BrokerOptions): string[] {
  const { folder, port, controllerPort, nodeId = 1, listeners = {}, properties = [] } = options
  const isController = nodeId === 1
  const more = Object.entries(listeners).map(([name, { port, protocol }]) => ({ name, port, protocol }))
  const all = [{ name: 'plain', port, protocol: 'PLAINTEXT' }, ...more]
  const addresses = all.map(({ name, port }) => `${name.toUpperCase()}://127.0.0.1:${port}`)
  const controller = `CONTROLLER://127.0.0.1:${controllerPort}`
  const protocols = all.map(({ name, protocol }) => `${name.toUpperCase()}:${protocol}`)
  return [
    `process.roles=${isController ? 'broker,controller' : 'broker'}`,
    `node.id=${nodeId}`,
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=${(isController ? [...addresses, controller] : addresses).join(',')}`,
    `advertised.listeners=${addresses.join(',')}`,
    `listener.security.protocol.map=${[...protocols, 'CONTROLLER:PLAINTEXT'].join(',')}`,
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAIN',
    `log.dirs=${join(folder, 'data')}`,
    'num.network.threads=2',
    'num.io.threads=4',
    'auto.create.topics.enable=false',
    'offsets.topic.num.partitions=4',
    'offsets.topic.replication.factor=1',
    'transaction.state.log.num.partitions=4',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    'group.min.session.timeout.ms=1000',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms=500',
    // Records of tests may be as old as 1970: nothing is deleted by age.
    'log.retention.ms=-1',
    'log.retention.check.interval.ms=86400000',
    'log.cleaner.dedupe.buffer.size=2097152',
    'log.cleaner.io.buffer.size=131072',
    'queued.max.requests=100',
    ...properties,
    '',
  ]
}
