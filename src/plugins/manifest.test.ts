import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRowmillError } from '../errors/rowmill-error.ts'
import { readManifest, settleConfig } from './manifest.ts'

const fields = [
  { key: 'plan', type: 'string', default: 'free' },
  { key: 'token', type: 'string', required: true },
  { key: 'list', type: 'attachment', required: true },
  { key: 'mode', type: 'choice', choices: ['on', 'off'] },
]

test('reads the config as a list or by key, and leaves out what is for the reader', () => {
  const list = JSON.stringify({ name: 'A', main: 'a.ts', config: [{ markdown: 'Hello' }, ...fields] })
  const byKey = JSON.stringify({ main: 'a.ts', config: { plan: { type: 'string', default: 'free' } } })
  assert.deepEqual(readManifest(list, 'plugin.json'), { main: 'a.ts', fields })
  assert.deepEqual(readManifest(byKey, 'plugin.json').fields, [fields[0]])
  assert.deepEqual(readManifest('{}', 'plugin.json'), { main: undefined, fields: [] })
  for (const text of ['{', '[]', '{"main": 1}', '{"config": [{"required": "yes"}]}'])
    assert.throws(
      () => readManifest(text, 'x/plugin.json'),
      (error) => isRowmillError(error, 'PLUGIN_INVALID') && /^x\/plugin\.json is no/.test(error.message),
    )
})

test('fills in defaults and says what is missing', () => {
  assert.deepEqual(settleConfig(fields, { token: 't', mode: 'on', more: 1 }, new Set(['list'])), {
    config: { token: 't', mode: 'on', more: 1, plan: 'free' },
    problems: [],
    strangers: ['more'],
  })
  assert.deepEqual(settleConfig(fields, { token: '', mode: 'half' }, new Set()).problems, [
    'The plugin requires the config key token.',
    'The plugin requires the attachment list: give --attachment list=FILE.',
    'The config key mode is one of on, off, not "half".',
  ])
})
