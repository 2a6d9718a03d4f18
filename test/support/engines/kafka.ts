/**
 * Apache Kafka for tests: one broker from Maven's jars, with a folder and free ports of its own. The plain
 * variant uses the broker that `ROWMILL_TEST_KAFKA` names (`host:port`), which several test files share: each
 * takes topics and groups with a prefix of its own.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { tempDir } from '../temp-dir.ts'
import { makeCertificates } from './certificates.ts'
import { type Broker, startBroker } from './kafka/broker.ts'
import { freePort } from './redis.ts'

const hasJava = spawnSync('java', ['-version']).status === 0

/** Why tests on Kafka cannot run here, or false. */
export const noKafka: string | false =
  hasJava || isNamed(process.env.ROWMILL_TEST_KAFKA)
    ? false
    : 'SKIPPED: no Java on this machine (Debian package openjdk-17-jre-headless)'

export type KafkaOptions = {
  /** A broker that nobody shares, so that it may be stopped. Every other option implies it. */
  isOwn?: boolean
  /** Listeners with TLS, with client certificates and with SASL beside the plain one. */
  isSecured?: boolean
  /** Lines for server.properties. */
  properties?: readonly string[]
}

/** PEM texts, and the one user that SASL knows. */
export type KafkaSecurity = {
  tls: string
  /** TLS that asks for a client's certificate. */
  mutualTls: string
  sasl: string
  saslTls: string
  authority: string
  certificate: string
  key: string
  user: string
  password: string
}

export type TestKafka = AsyncDisposable & {
  /** `host:port` of the plain listener. */
  address: string
  /** With `isSecured`. */
  security: KafkaSecurity | undefined
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  start(): Promise<void>
  /** The broker answers nothing until it is resumed; connections stay open. */
  pause(): void
  resume(): void
}

export async function openKafka(options: KafkaOptions = {}): Promise<TestKafka> {
  const shared = process.env.ROWMILL_TEST_KAFKA
  if (Object.keys(options).length === 0 && shared !== undefined && isNamed(shared)) return openShared(shared)
  return await openOwn(options)
}

function isNamed(address: string | undefined): boolean {
  return address !== undefined && address !== ''
}

function openShared(address: string): TestKafka {
  const refuse = (): never => assert.fail('This broker is shared: open one with isOwn.')
  return {
    address,
    security: undefined,
    stop: async () => refuse(),
    start: async () => refuse(),
    pause: refuse,
    resume: refuse,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function openOwn(options: KafkaOptions): Promise<TestKafka> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempDir('rowmill-kafka-')).path
  const port = await freePort()
  const secured = options.isSecured === true ? await prepareSecurity(folder) : undefined
  const broker = stack.use(
    await startBroker({
      folder,
      port,
      controllerPort: await freePort(),
      ...secured?.broker,
      properties: [...(secured?.broker.properties ?? []), ...(options.properties ?? [])],
    }),
  )
  const owned = stack.move()
  return {
    address: `127.0.0.1:${port}`,
    security: secured?.security,
    stop: (signal) => broker.stop(signal),
    start: () => broker.start(),
    pause: () => broker.signal('SIGSTOP'),
    resume: () => broker.signal('SIGCONT'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

export type TestKafkaCluster = AsyncDisposable & {
  /** Addresses of all brokers, separated by commas. */
  hosts: string
  /** The second one may go away: the first is the controller, and holds a copy of everything. */
  second: Broker
}

/** Two brokers; every partition, also of groups and transactions, is on both. */
export async function openKafkaCluster(): Promise<TestKafkaCluster> {
  await using stack = new AsyncDisposableStack()
  const controllerPort = await freePort()
  const ports = [await freePort(), await freePort()]
  const properties = [
    'offsets.topic.replication.factor=2',
    'transaction.state.log.replication.factor=2',
    'broker.session.timeout.ms=3000',
    'broker.heartbeat.interval.ms=500',
    'replica.lag.time.max.ms=2000',
  ]
  const brokers: Broker[] = []
  for (const [index, port] of ports.entries()) {
    const folder = stack.use(await tempDir('rowmill-kafka-')).path
    const options = { folder, port, controllerPort, nodeId: index + 1, properties }
    brokers.push(stack.use(await startBroker(options)))
  }
  const [, second] = brokers
  assert(second !== undefined)
  const owned = stack.move()
  return {
    hosts: ports.map((port) => `127.0.0.1:${port}`).join(','),
    second,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const user = 'rowmill'
const password = 'kafka-secret'

async function prepareSecurity(folder: string) {
  const { caFile, certFile, keyFile } = await makeCertificates(folder)
  const [authority, certificate, key] = await Promise.all(
    [caFile, certFile, keyFile].map((file) => readFile(file, 'utf8')),
  )
  assert(authority !== undefined && certificate !== undefined && key !== undefined)
  const listeners = {
    tls: { port: await freePort(), protocol: 'SSL' },
    mtls: { port: await freePort(), protocol: 'SSL' },
    sasl: { port: await freePort(), protocol: 'SASL_PLAINTEXT' },
    sasltls: { port: await freePort(), protocol: 'SASL_SSL' },
  } as const
  const login = 'org.apache.kafka.common.security'
  const properties = [
    'ssl.keystore.type=PEM',
    `ssl.keystore.certificate.chain=${oneLine(certificate)}`,
    `ssl.keystore.key=${oneLine(key)}`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.certificates=${oneLine(authority)}`,
    'listener.name.mtls.ssl.client.auth=required',
    ...['sasl', 'sasltls'].flatMap((name) => [
      `listener.name.${name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512`,
      `listener.name.${name}.plain.sasl.jaas.config=${login}.plain.PlainLoginModule required user_${user}="${password}";`,
      ...['scram-sha-256', 'scram-sha-512'].map(
        (kind) => `listener.name.${name}.${kind}.sasl.jaas.config=${login}.scram.ScramLoginModule required;`,
      ),
    ]),
  ]
  const address = (name: keyof typeof listeners) => `127.0.0.1:${listeners[name].port}`
  const security: KafkaSecurity = {
    tls: address('tls'),
    mutualTls: address('mtls'),
    sasl: address('sasl'),
    saslTls: address('sasltls'),
    authority,
    certificate,
    key,
    user,
    password,
  }
  return { broker: { listeners, properties, scramUsers: [{ name: user, password }] }, security }
}

/** Java's property files hold a text of several lines with the ends of its lines spelt out. */
function oneLine(pem: string): string {
  return pem.trim().replaceAll('\n', '\\n')
}
