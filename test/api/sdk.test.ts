import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import vm from 'node:vm'
import { gzipSync } from 'node:zlib'
import { createProject } from '../../src/api/projects/projects.ts'
import { keys, openTestApi, type TestApi } from '../support/api.ts'

type Flags = Record<string, unknown>

suite('routes of SDKs', () => {
  let api: TestApi
  before(async () => {
    api = await openTestApi({ hasWarehouse: false })
  })
  after(() => api[Symbol.asyncDispose]())

  const post = (path: string, raw: string | Buffer, headers: Record<string, string> = {}) =>
    api.call('POST', path, { key: null, raw, headers })
  const body = JSON.stringify({ token: 'phc_first', distinct_id: 'u' })

  /** Keys of flags in the answer, and whether the config is in it. */
  const versions: readonly [string, Flags, boolean][] = [
    ['/flags', { flags: {} }, true],
    ['/flags/', { flags: {} }, true],
    ['/flags?v=2', { flags: {} }, false],
    ['/flags?v=2&config=true', { flags: {} }, true],
    ['/flags?v=2&config=1', { flags: {} }, true],
    ['/flags?v=2&config=false', { flags: {} }, false],
    ['/flags?config=true', { featureFlags: {}, featureFlagPayloads: {} }, true],
    ['/flags?v=1', { featureFlags: {}, featureFlagPayloads: {} }, false],
    ['/flags?v=x', { featureFlags: {}, featureFlagPayloads: {} }, false],
    ['/flags?v=2x', { featureFlags: {}, featureFlagPayloads: {} }, false],
    ['/flags?v=', { flags: {} }, true],
    ['/decide', { featureFlags: [] }, true],
    ['/decide/?v=1', { featureFlags: [] }, true],
    ['/decide?v=nonsense', { featureFlags: [] }, true],
    ['/decide?v=2', { featureFlags: {} }, true],
    ['/decide?v=3', { featureFlags: {}, featureFlagPayloads: {} }, true],
    ['/decide?v=4', { flags: {} }, true],
    ['/decide?v=4&config=false', { flags: {} }, false],
    ['/decide?version=3', { featureFlags: {}, featureFlagPayloads: {} }, true],
  ]
  for (const [path, shape, hasConfig] of versions)
    test(`${path} answers the shape of its version`, async () => {
      const answer = await post(path, body)
      assert.equal(answer.status, 200, answer.text)
      const found = answer.body as Flags
      const { flags, featureFlags, featureFlagPayloads } = found
      assert.deepEqual(JSON.parse(JSON.stringify({ flags, featureFlags, featureFlagPayloads })), shape)
      assert.equal(found.errorsWhileComputingFlags, false)
      assert.equal(typeof found.evaluatedAt, 'number')
      assert.match(String(found.requestId), /^[0-9a-f-]{36}$/)
      assert.equal('sessionRecording' in found, hasConfig)
    })

  test('a GET needs no token, and other methods are told apart', async () => {
    const got = await api.call('GET', '/flags?v=2', { key: null })
    assert.deepEqual((got.body as Flags).flags, {})
    assert.deepEqual(((await api.call('GET', '/decide', { key: null })).body as Flags).featureFlags, {})
    assert.equal((await api.call('HEAD', '/flags', { key: null })).status, 200)
    const headers = { origin: 'https://shop.example', 'access-control-request-headers': 'x-a, x-b' }
    for (const path of ['/flags', '/decide/', '/array/phc_first/config', '/static/array.js']) {
      const options = await api.call('OPTIONS', path, { key: null, headers })
      assert.equal(options.status, 204)
      assert.equal(options.headers.get('access-control-allow-origin'), 'https://shop.example')
      assert.equal(options.headers.get('access-control-allow-headers'), 'x-a, x-b')
    }
    const put = await api.call('PUT', '/flags', { key: null, raw: body })
    assert.deepEqual([put.status, put.headers.get('allow')], [405, 'GET, POST, OPTIONS, HEAD'])
  })

  test('the request id of a proxy is kept when it is a UUID', async () => {
    const id = '0190a0b0-0000-7000-8000-000000000001'
    assert.equal(((await post('/flags', body, { 'x-request-id': id })).body as Flags).requestId, id)
    assert.notEqual(((await post('/flags', body, { 'x-request-id': 'x' })).body as Flags).requestId, 'x')
  })

  test('every way of sending a body is understood', async () => {
    const base64 = Buffer.from(body).toString('base64')
    const ways: readonly [string, string | Buffer, Record<string, string>][] = [
      ['/flags?v=2', gzipSync(body), { 'content-type': 'text/plain' }],
      ['/flags?v=2&compression=gzip-js', gzipSync(body), { 'content-type': 'text/plain' }],
      ['/flags?v=2', gzipSync(body), { 'content-encoding': 'gzip' }],
      ['/flags?v=2&compression=base64', base64, { 'content-type': 'text/plain' }],
      [
        '/flags?v=2',
        `data=${encodeURIComponent(base64)}`,
        { 'content-type': 'application/x-www-form-urlencoded' },
      ],
      ['/flags?v=2', base64, { 'content-type': 'application/x-www-form-urlencoded' }],
      [
        '/flags?v=2',
        '{"$token":"phc_first","$distinct_id":7,"person_properties":{"a":NaN,"b":-Infinity,"c":"NaN"}}',
        {},
      ],
      [
        '/flags?v=2',
        '{"api_key":"phc_first","distinct_id":""}',
        { 'content-type': 'application/json; charset=utf-8' },
      ],
    ]
    for (const [path, raw, headers] of ways) {
      const answer = await post(path, raw, headers)
      assert.equal(answer.status, 200, `${path} ${JSON.stringify(headers)}: ${answer.text}`)
    }
  })

  test('bad requests are answered in text and never fail', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    const cases: readonly [number, string, string | Buffer, Record<string, string>][] = [
      [401, '/flags', '', {}],
      [401, '/flags', '{}', {}],
      [401, '/flags', '{"token":"phc_unknown","distinct_id":"u"}', {}],
      [401, '/flags', '{"token":"a\\u0000b","distinct_id":"u"}', {}],
      [401, '/flags', '{"token":7,"distinct_id":"u"}', {}],
      [400, '/flags', '{"token":"phc_first"}', {}],
      [400, '/flags', '{"token":"phc_first","distinct_id":{}}', {}],
      [400, '/flags', '{"token":"phc_first","distinct_id":null}', {}],
      [400, '/flags', '[]', {}],
      [400, '/flags', '{"a', {}],
      [400, '/flags', `"${'\\"'.repeat(200_000)}`, {}],
      [400, '/flags', ' '.repeat(500_000).concat('x'), {}],
      [400, '/flags', body, { 'content-type': 'application/xml' }],
      [400, '/flags?compression=lz64', body, {}],
      [400, '/flags?compression=gzip', body, {}],
      [400, '/flags', Buffer.from([0x1f, 0x8b, 1, 2, 3]), {}],
      [400, '/flags', bomb, {}],
      [
        401,
        '/flags',
        `data=${encodeURIComponent('%%%')}`,
        { 'content-type': 'application/x-www-form-urlencoded' },
      ],
      [400, '/decide', Buffer.from([0xff, 0xfe, 0x00]), {}],
      [413, '/flags', 'x'.repeat(2_000_000), {}],
    ]
    for (const [status, path, raw, headers] of cases) {
      const answer = await post(path, raw, headers)
      assert.equal(answer.status, status, `${path} ${raw.toString('latin1').slice(0, 60)}: ${answer.text}`)
    }
  })

  test('definitions need a key that may see the project', async () => {
    for (const path of ['/api/feature_flag/local_evaluation', '/flags/definitions']) {
      const empty = { flags: [], group_type_mapping: {}, cohorts: {} }
      assert.deepEqual((await api.call('GET', `${path}?token=phc_first&send_cohorts`)).body, empty)
      assert.equal((await api.call('GET', `${path}?token=phc_first`, { key: null })).status, 401)
      assert.equal((await api.call('GET', `${path}?token=phc_first`, { key: keys.scoped })).status, 401)
      assert.equal((await api.call('GET', `${path}?token=phc_second`, { key: keys.scoped })).status, 200)
      assert.equal((await api.call('GET', `${path}?token=nobody`)).status, 401)
    }
  })

  test('the config of browsers follows the settings of the project', async () => {
    const settings = {
      session_recording_opt_in: true,
      capture_console_log_opt_in: true,
      heatmaps_opt_in: true,
      autocapture_exceptions_opt_in: true,
    }
    await api.call('PATCH', '/api/projects/2', { body: settings })
    const config = (await api.call('GET', '/array/phc_second/config', { key: null })).body as Flags
    assert.deepEqual((config.sessionRecording as Flags).endpoint, '/s/')
    assert.equal(config.heatmaps, true)
    assert.deepEqual(config.autocaptureExceptions, { endpoint: '/e/' })
    assert.equal(
      ((await api.call('GET', '/array/phc_first/config', { key: null })).body as Flags).sessionRecording,
      false,
    )
    for (const path of [
      '/array/nobody/config',
      '/array/nobody/config.js',
      '/array/nobody/array.js',
      '/array/%00/config',
      '/array/%F0%9F%98%80/config.js',
    ])
      assert.equal((await api.call('GET', path, { key: null })).status, 404, path)
  })

  test('the config script runs, and nothing in a token can leave it', async () => {
    const apiToken = `</script><script>"'\\`
    await createProject(api.ports.database, { name: 'odd', apiToken })
    const answer = await api.call('GET', `/array/${encodeURIComponent(apiToken)}/config.js`, { key: null })
    assert.equal(answer.status, 200)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/javascript/)
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    assert.equal(answer.text.includes('<'), false)
    const window: Record<string, Record<string, { config: Flags; siteApps: unknown[] }>> = {}
    vm.runInNewContext(answer.text, { window })
    assert.equal(window._POSTHOG_REMOTE_CONFIG?.[apiToken]?.config.token, apiToken)
    const bundle = await api.call('GET', '/array/phc_first/array.js', { key: null })
    assert.ok(bundle.text.startsWith('(function(){window._POSTHOG_REMOTE_CONFIG'))
    assert.ok(bundle.text.length > 50_000)
  })

  test("posthog-js's own files are served, and nothing else", async () => {
    for (const file of ['array.js', 'recorder.js', 'surveys.js']) {
      const answer = await api.call('GET', `/static/${file}`, { key: null })
      assert.deepEqual(
        [answer.status, answer.headers.get('cache-control')],
        [200, 'public, max-age=3600'],
        file,
      )
    }
    for (const file of [
      'nothing.js',
      '..%2fpackage.json',
      '%2e%2e%2fpackage.json',
      'array.js.map',
      '%00',
      '.js',
    ])
      assert.equal((await api.call('GET', `/static/${file}`, { key: null })).status, 404, file)
  })
})
