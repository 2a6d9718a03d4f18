import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { z } from 'zod'
import { tempDir } from '../../../test/support/temp-dir.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { Secret } from '../../std/secret.ts'
import { loadConfig } from './load.ts'
import { derivedName, settingsOf } from './settings.ts'

const schema = z.strictObject({
  port: z.number().int().max(65_535).default(8000).meta({ description: 'The port.', env: 'PORT' }),
  isLoud: z.boolean().default(false).meta({ description: 'Be loud.' }),
  names: z.array(z.string()).default([]).meta({ description: 'Names.' }),
  database: z
    .strictObject({
      url: z
        .string()
        .transform((text) => new Secret(text))
        .optional()
        .meta({ description: 'Where.', env: 'DATABASE_URL', secret: true }),
      connectionsMax: z.number().int().min(1).default(8).meta({ description: 'Connections.' }),
    })
    .prefault({}),
})

function refusal(sources: Parameters<typeof loadConfig>[1]): string {
  try {
    loadConfig(schema, sources)
  } catch (error) {
    assert.ok(isRowmillError(error, 'CONFIG_INVALID'))
    return error.message
  }
  throw new assert.AssertionError({ message: 'the config was accepted' })
}

suite('config', () => {
  test('a name is derived from a path', () => {
    assert.equal(derivedName(['database', 'connectionsMax']), 'ROWMILL_DATABASE_CONNECTIONS_MAX')
  })

  test('every setting is found in the schema with its default', () => {
    assert.deepEqual(
      settingsOf(schema).map(({ path, kind, default: value }) => [path.join('.'), kind, value]),
      [
        ['port', 'number', 8000],
        ['isLoud', 'boolean', false],
        ['names', 'list', []],
        ['database.url', 'text', undefined],
        ['database.connectionsMax', 'number', 8],
      ],
    )
  })

  test('flags win over the environment, the environment over the file, the file over defaults', async () => {
    await using dir = await tempDir()
    const file = join(dir.path, 'rowmill.yaml')
    writeFileSync(file, 'port: 1\nisLoud: true\ndatabase:\n  connectionsMax: 2\n')
    const { config, settings } = loadConfig(schema, {
      file,
      environment: { PORT: '2', ROWMILL_DATABASE_CONNECTIONS_MAX: '3' },
      flags: { port: '4' },
    })
    assert.deepEqual([config.port, config.isLoud, config.database.connectionsMax], [4, true, 3])
    assert.deepEqual(
      settings.map(({ path, origin }) => [path.join('.'), origin]),
      [
        ['port', 'flag'],
        ['isLoud', `file ${file}`],
        ['names', 'default'],
        ['database.url', 'default'],
        ['database.connectionsMax', 'environment ROWMILL_DATABASE_CONNECTIONS_MAX'],
      ],
    )
  })

  test('a value can come from a file that a variable names', async () => {
    await using dir = await tempDir()
    const file = join(dir.path, 'secret')
    writeFileSync(file, 'postgres://user:pass@host/db\n')
    const { config } = loadConfig(schema, { environment: { DATABASE_URL_FILE: file } })
    assert.equal(config.database.url?.reveal(), 'postgres://user:pass@host/db')
    assert.equal(JSON.stringify(config.database), '{"url":"***","connectionsMax":8}')
  })

  test('a list is separated by commas', () => {
    assert.deepEqual(loadConfig(schema, { environment: { ROWMILL_NAMES: 'a, b,,c' } }).config.names, [
      'a',
      'b',
      'c',
    ])
  })

  test('what is wrong is named with its setting, its origin and its value', () => {
    assert.match(
      refusal({ environment: { PORT: 'eighty' } }),
      /^port \(environment PORT\) must be a number, but it is "eighty"\.$/,
    )
    assert.match(refusal({ environment: { PORT: '99999' } }), /^port \(environment PORT\) is 99999: .*65535/)
    assert.match(refusal({ environment: {}, flags: { prot: '1' } }), /There is no setting prot/)
    assert.match(
      refusal({ environment: { ROWMILL_IS_LOUD: 'maybe' } }),
      /isLoud .* true or false, but it is "maybe"/,
    )
    assert.match(
      refusal({ environment: {}, file: '/nowhere/rowmill.yaml' }),
      /\/nowhere\/rowmill\.yaml could not be read/,
    )
  })

  test('a variable that looks like a setting and is none is told, not refused', () => {
    const environment = { ROWMILL_PROT: '1', ROWMILL_NAMES: 'a', DATABASE_URL_FILE: '', PATH: '/bin' }
    assert.deepEqual(loadConfig(schema, { environment }).strayVariables, ['ROWMILL_PROT'])
  })

  test('what Kubernetes sets for a service called rowmill is told and not taken', () => {
    const environment = {
      ROWMILL_PORT: 'tcp://10.0.0.1:8000',
      ROWMILL_PORT_8000_TCP: 'tcp://10.0.0.1:8000',
      ROWMILL_PORT_8000_TCP_ADDR: '10.0.0.1',
      ROWMILL_SERVICE_HOST: '10.0.0.1',
      ROWMILL_SERVICE_PORT_HTTP: '8000',
      ROWMILL_OTHER: '1',
    }
    const loaded = loadConfig(schema, { environment: { ...environment, PORT: '9000' } })
    assert.equal(loaded.config.port, 9000)
    assert.deepEqual(loaded.serviceLinks, ['ROWMILL_PORT'])
    assert.deepEqual(loaded.strayVariables, ['ROWMILL_OTHER'])
    assert.equal(loadConfig(schema, { environment }).config.port, 8000)
    assert.match(refusal({ environment: { PORT: 'tcp://10.0.0.1:8000' } }), /^port \(environment PORT\)/)
  })

  test('a setting in the file that does not exist is refused by its full name', async () => {
    await using dir = await tempDir()
    const file = join(dir.path, 'rowmill.yaml')
    writeFileSync(file, 'database:\n  conectionsMax: 2\n')
    assert.match(refusal({ environment: {}, file }), /There is no setting database\.conectionsMax/)
  })

  test('config cannot be changed after it was read', () => {
    const { config } = loadConfig(schema, { environment: {} })
    assert.throws(() => Object.assign(config.database, { connectionsMax: 1 }), TypeError)
  })
})
