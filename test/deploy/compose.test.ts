/**
 * compose.yaml against a description of the parts of the Compose specification that it uses, and against the program:
 * what Compose gives to a process is read by the process's own config.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { z } from 'zod'
import { doubtfulCombinations } from '../../src/platform/start/combinations.ts'
import {
  defaults,
  exists,
  find,
  isPinned,
  isSecret,
  packageFile,
  read,
  readYaml,
  settingsFor,
  unknownVariables,
  wrongCall,
} from './tree.ts'

const duration = z.string().regex(/^\d+(ms|s|m)$/)
const service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), target: z.string() }).optional(),
  profiles: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  restart: z.literal('unless-stopped'),
  init: z.boolean().optional(),
  read_only: z.boolean().optional(),
  tmpfs: z.array(z.string()).optional(),
  cap_drop: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  stop_grace_period: duration.optional(),
  shm_size: z.string().optional(),
  ulimits: z.record(z.string(), z.strictObject({ soft: z.number(), hard: z.number() })).optional(),
  // A number or a boolean would be for YAML to print.
  environment: z.record(z.string(), z.string()),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  healthcheck: z.strictObject({
    test: z.array(z.string()),
    interval: duration,
    timeout: duration,
    start_period: duration.optional(),
    retries: z.number().int(),
  }),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.literal('service_healthy') })).optional(),
})
const { services, volumes, ...others } = z
  .looseObject({
    services: z.record(z.string(), service),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(readYaml('compose.yaml'))

const all = Object.entries(services)
const own = all.filter(([, { image }]) => image.startsWith('rowmill:'))
const engines = all.filter(([name]) => !own.some(([one]) => one === name))

/** `.env` with every empty line filled in. */
const example = Object.fromEntries(
  read('deploy/compose/env.example')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
)
const reference = /\$\{(\w+)(?::([-?])([^}]*))?\}/g
const fill = (text: string): string =>
  text.replaceAll(reference, (_, name: string, kind: string | undefined, rest: string | undefined) => {
    const given = example[name]
    if (given !== undefined && given !== '') return given
    return kind === '-' ? (rest ?? '') : 'secret_1'
  })
const environmentOf = ({ environment }: z.output<typeof service>): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).map(([name, text]) => [name, fill(text)]))

suite('compose.yaml', () => {
  test('has no other parts than it is checked for', () => {
    assert.deepEqual(
      Object.keys(others).filter((name) => name !== 'name' && !name.startsWith('x-')),
      [],
    )
  })

  test('pins every image, and builds the one of this version', () => {
    assert.deepEqual(
      engines.map(([, { image }]) => image).filter((image) => !isPinned(image)),
      [],
    )
    for (const [name, { image, build }] of own) {
      assert.equal(image, `rowmill:${packageFile.version}-fleet`, name)
      assert.deepEqual(build, { context: '.', target: 'fleet' }, name)
    }
    assert.match(read('Dockerfile'), /^FROM \S+ AS fleet$/m)
  })

  test('publishes the ports of Rowmill alone, and on loopback unless told otherwise', () => {
    assert.deepEqual(
      engines.filter(([, { ports }]) => ports !== undefined).map(([name]) => name),
      [],
    )
    for (const [, { ports = [], environment }] of own)
      for (const port of ports) {
        const [address, , inside] = fill(port).split(':')
        assert.equal(address, '127.0.0.1')
        assert.equal(inside, environment.PORT)
      }
  })

  for (const profile of ['one', 'fleet'])
    test(`${profile}: no two processes publish one port`, () => {
      const ports = own
        .filter(([, { profiles }]) => profiles?.includes(profile))
        .flatMap(([, service]) => service.ports ?? [])
        .map((port) => fill(port).split(':')[1])
      assert.ok(ports.length > 0)
      assert.equal(new Set(ports).size, ports.length)
    })

  test('asks for each secret in .env, where none has a value', () => {
    const asked = new Set<string>()
    for (const [name, { environment }] of all)
      for (const [variable, text] of Object.entries(environment))
        for (const [, asks = '', kind] of text.matchAll(reference)) {
          asked.add(asks)
          assert.ok(asks in example, `${asks} is not in env.example`)
          if (kind !== '?') assert.equal(isSecret(variable), false, `${name}: ${variable} has a default`)
          else assert.equal(example[asks], '', `${asks} has a value in env.example`)
        }
    const other = ['COMPOSE_PROFILES', 'ROWMILL_LISTEN']
    assert.deepEqual(
      Object.keys(example).filter((name) => !asked.has(name) && !other.includes(name)),
      [],
    )
  })

  test('has no password in itself', () => {
    for (const [name, { environment }] of all)
      for (const [variable, text] of Object.entries(environment))
        if (isSecret(variable) || /PASSWORD|SECRET|ACCESS_KEY|TOKEN|API_KEY|AUTH$/.test(variable))
          assert.match(text, /\$\{\w+:\?/, `${name}: ${variable}`)
  })

  test('names only volumes and services that there are, and every volume is used', () => {
    const used = all.flatMap(([, service]) => (service.volumes ?? []).map((one) => one.split(':')[0] ?? ''))
    assert.deepEqual(used.toSorted(), Object.keys(volumes).toSorted())
    for (const [name, { depends_on = {} }] of all)
      assert.deepEqual(
        Object.keys(depends_on).filter((one) => services[one] === undefined),
        [],
        name,
      )
  })

  test('waits for every engine', () => {
    for (const [, { depends_on = {} }] of own)
      assert.deepEqual(Object.keys(depends_on).toSorted(), engines.map(([name]) => name).toSorted())
  })

  test('keeps what engines store in volumes', () => {
    for (const [name, service] of engines) assert.equal(service.volumes?.length, 1, name)
  })
})

suite('what Compose gives to Rowmill', () => {
  for (const [name, service] of own) {
    test(`${name}: every variable is a setting`, () => {
      assert.deepEqual(unknownVariables(Object.keys(service.environment)), [])
    })

    test(`${name}: the settings work together, and the command exists`, () => {
      assert.deepEqual(wrongCall(service.command ?? []), [])
      const config = settingsFor(environmentOf(service), service.command ?? [])
      assert.deepEqual(doubtfulCombinations(config), [])
      assert.equal(config.host, '0.0.0.0')
    })

    test(`${name}: has a root file system that is only read, no capabilities, and time to stop`, () => {
      assert.equal(service.read_only, true)
      assert.deepEqual(service.tmpfs, ['/tmp'])
      assert.deepEqual(service.cap_drop, ['ALL'])
      assert.ok(Number.parseInt(service.stop_grace_period ?? '0', 10) * 1000 >= defaults.shutdownMs + 15_000)
    })

    test(`${name}: is ready by its health check`, () => {
      const [, runtime, script = '', path] = service.healthcheck.test
      assert.equal(runtime, 'node')
      assert.ok(exists(script.replace('/opt/rowmill/', '')))
      assert.equal(path, '/_readiness')
    })

    test(`${name}: reaches each engine by its name and port`, () => {
      const addresses = Object.values(environmentOf(service)).flatMap((text) => {
        const [, host = '', port = ''] =
          /^(?:\w+:\/\/)?(?:[^@/]*@)?([a-z]+):(\d+)(?:\/\d*\w*)?$/.exec(text) ?? []
        return host === '' ? [] : [`${host}:${port}`]
      })
      assert.deepEqual(addresses.toSorted(), [
        'clickhouse:8123',
        'kafka:9092',
        'objects:8333',
        'postgres:5432',
        'redis:6379',
      ])
    })
  }

  test('one process has every role, a fleet the same ones apart', () => {
    const roles = (profile: string): string[] =>
      own
        .filter(([, { profiles }]) => profiles?.includes(profile))
        .flatMap(([, service]) => settingsFor(environmentOf(service), service.command ?? []).roles)
        .filter((role) => role !== 'consumer')
        .toSorted()
    assert.deepEqual(roles('fleet'), ['api', 'capture', 'datasets', 'ingest'])
    assert.deepEqual(roles('one'), roles('fleet'))
  })
})

test('records may be as large as what capture may make of a request, and Kafka takes them', () => {
  const brokerBytesMax = Number(services.kafka?.environment.KAFKA_MESSAGE_MAX_BYTES)
  for (const [, service] of own) {
    const { kafka, capture } = settingsFor(environmentOf(service), service.command ?? [])
    assert.ok(brokerBytesMax > kafka.recordBytesMax)
    assert.ok(kafka.recordBytesMax > Math.max(capture.replay.messageBytesMax, capture.ai.messageBytesMax))
  }
})

test('folders for Compose hold nothing that is not named', () => {
  const named = read('compose.yaml') + read('docs/guides/deploy.md')
  assert.deepEqual(
    find('deploy/compose/*').filter((path) => !named.includes(path)),
    [],
  )
})
