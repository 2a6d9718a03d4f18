/** The units are read; `systemd-analyze` is not on every machine. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { defaults, exists, find, read, settingsFor, unknownVariables, wrongCall } from './tree.ts'

type Unit = Map<string, string[]>

/** `Section.Key` with its values in order. */
function parseUnit(text: string): Unit {
  const unit: Unit = new Map()
  let section = ''
  for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#'))) {
    const [, name] = /^\[(\w+)\]$/.exec(line) ?? []
    if (name !== undefined) {
      section = name
      continue
    }
    const [, key, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
    assert.ok(key !== undefined, `not understood: ${line}`)
    const path = `${section}.${key}`
    unit.set(path, [...(unit.get(path) ?? []), value])
  }
  return unit
}

const hardening = [
  'NoNewPrivileges',
  'PrivateDevices',
  'PrivateTmp',
  'ProtectClock',
  'ProtectControlGroups',
  'ProtectHome',
  'ProtectHostname',
  'ProtectKernelLogs',
  'ProtectKernelModules',
  'ProtectKernelTunables',
  'RestrictNamespaces',
  'RestrictRealtime',
  'RestrictSUIDSGID',
]

const paths = find('deploy/systemd/*.service')

test('there is a unit for one process, and a template for roles', () => {
  assert.deepEqual(paths, ['deploy/systemd/rowmill.service', 'deploy/systemd/rowmill@.service'])
})

for (const path of paths) {
  const unit = parseUnit(read(path))
  const one = (key: string): string => unit.get(`Service.${key}`)?.at(-1) ?? ''
  // The template's name for its role.
  const role = path.includes('@') ? 'capture' : '%i'

  suite(path, () => {
    test('starts a command that there is, with the Node that npm pins', () => {
      const [node, program = '', ...words] = one('ExecStart').replaceAll('%i', role).split(' ')
      const home = one('WorkingDirectory')
      assert.equal(node, `${home}/node_modules/.bin/node`)
      assert.ok(exists(program))
      assert.deepEqual(wrongCall(words), [])
    })

    test('sets what is a setting, and keeps its data in its own folder', () => {
      const variables = Object.fromEntries(
        one('Environment')
          .replaceAll('%i', role)
          .split(' ')
          .map((pair) => pair.split('=', 2)),
      ) as Record<string, string>
      assert.deepEqual(unknownVariables(Object.keys(variables)), [])
      const config = settingsFor(variables, [])
      assert.equal(config.host, '127.0.0.1')
      const folder = `/var/lib/${one('StateDirectory').replaceAll('%i', role)}`
      assert.ok(config.dataDir === folder || config.dataDir.startsWith(`${folder}/`))
    })

    test('runs as a user, and lets the program stop its engines itself', () => {
      assert.equal(one('User'), 'rowmill')
      assert.equal(one('KillMode'), 'mixed')
      assert.equal(one('KillSignal'), 'SIGTERM')
      const stopMs = Number(one('TimeoutStopSec')) * 1000
      assert.ok(stopMs >= defaults.shutdownMs + defaults.postgres.stopGraceMs)
    })

    test('may do little else', () => {
      assert.deepEqual(
        hardening.filter((key) => !['yes', 'invisible'].includes(one(key))),
        [],
      )
      assert.equal(one('ProtectSystem'), 'strict')
      assert.equal(one('CapabilityBoundingSet'), '')
      // V8 writes the code that it runs.
      assert.equal(unit.has('Service.MemoryDenyWriteExecute'), false)
    })
  })
}
