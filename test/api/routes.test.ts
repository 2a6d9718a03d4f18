import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createApiRoutes } from '../../src/api/api.ts'
import { topics } from '../../src/event/topics.ts'
import { eventRow, insertRows, keys, openTestApi, resultsOf } from '../support/api.ts'
import { createManualClock } from '../support/manual-clock.ts'

const uuid = '0190a0b0-0000-7000-8000-000000000001'
const noone = '00000000-0000-4000-8000-00000000dead'

test('every route of the list is in the document, with a success and the shape of refusals', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const answer = await api.call('GET', '/api/openapi.json', { key: null })
  const document = answer.body as {
    openapi: string
    info: { title: string; version: string }
    paths: Record<
      string,
      Record<string, { operationId: string; responses: object; parameters: { name: string; in: string }[] }>
    >
  }
  assert.equal(document.openapi, '3.1.0')
  assert.ok(document.info.title !== '' && document.info.version !== '')
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  for (const route of createApiRoutes(api.ports, api.config)) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    const operation = document.paths[path]?.[route.method.toLowerCase()]
    assert.ok(operation !== undefined, `${route.method} ${path}`)
    assert.ok(Object.keys(operation.responses).some((status) => status.startsWith('2')))
    assert.ok('default' in operation.responses)
    const inPath = operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
    assert.deepEqual(
      inPath,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    )
  }
  const ids = operations.map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length)
  for (const path of [
    '/flags',
    '/decide',
    '/array/{token}/config',
    '/array/{token}/config.js',
    '/api/feature_flag/local_evaluation',
  ])
    assert.ok(path in document.paths, path)
})

test('without a key, with a wrong one and in other schemes nothing is answered', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const routes = createApiRoutes(api.ports, api.config)
  for (const { method, path } of routes) {
    const at = path.replaceAll(/:\w+/g, '1')
    for (const key of [null, 'phx_wrong', '', 'phx_\u00e4']) {
      const answer = await api.call(method, at, { key, ...(method === 'POST' ? { body: {} } : {}) })
      assert.equal(answer.status, 401, `${method} ${at} ${key}`)
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    }
  }
  const headers = { authorization: `Basic ${Buffer.from(`x:${keys.all}`).toString('base64')}` }
  assert.equal((await api.call('GET', '/api/projects', { key: null, headers })).status, 401)
  assert.equal(
    (await api.call('GET', `/api/projects?personal_api_key=${keys.all}`, { key: null })).status,
    200,
  )
})

test('projects are listed, made, read and changed', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  assert.equal(resultsOf(await api.call('GET', '/api/projects')).length, 2)
  const made = await api.call('POST', '/api/projects', {
    body: { name: 'third', timezone: 'Europe/Berlin', cookieless_mode: 'stateful' },
  })
  assert.equal(made.status, 201)
  const project = made.body as Record<string, unknown>
  assert.match(String(project.api_token), /^phc_\w{43}$/)
  assert.deepEqual((await api.call('GET', `/api/projects/${project.id}`)).body, project)
  const changed = await api.call('PATCH', `/api/projects/${project.id}`, {
    body: {
      name: 'renamed',
      drop_events_older_than_seconds: 60,
      cookieless_mode: 'disabled',
      heatmaps_opt_in: true,
    },
  })
  const { updated_at: _, ...rest } = changed.body as Record<string, unknown>
  const { updated_at: __, ...before } = project
  assert.deepEqual(rest, {
    ...before,
    name: 'renamed',
    drop_events_older_than_seconds: 60,
    cookieless_mode: 'disabled',
    heatmaps_opt_in: true,
  })
  const current = (await api.call('GET', '/api/projects/@current', { key: keys.scoped })).body as {
    id: number
  }
  assert.equal(current.id, 2)
  const taken = await api.call('POST', '/api/projects', { body: { name: 'x', api_token: 'phc_first' } })
  assert.deepEqual([taken.status, (taken.body as { attr: string }).attr], [400, 'api_token'])
})

test('bodies and queries that make no sense are refused and never fail', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const bodies: unknown[] = [
    {},
    [],
    null,
    1,
    'x',
    { name: '' },
    { name: 1 },
    { name: 'a\0b' },
    { name: 'x'.repeat(201) },
    { name: 'x', timezone: 'Mars/Base' },
    { name: 'x', api_token: 'phx_x' },
    { name: 'x', api_token: 'a b' },
    { name: 'x', id: 7 },
    { name: 'x', drop_events_older_than_seconds: 1e300 },
    { name: 'x', drop_events_older_than_seconds: 0.5 },
    { name: 'x', anonymize_ips: 'yes' },
    { name: 'x', __proto__x: 1 },
  ]
  for (const body of bodies) {
    const answer = await api.call('POST', '/api/projects', { body })
    assert.equal(answer.status, 400, JSON.stringify(body))
  }
  for (const body of [{ api_token: 'phc_new' }, { id: 3 }, { name: 'a\0' }])
    assert.equal((await api.call('PATCH', '/api/projects/1', { body })).status, 400)
  for (const body of [
    {},
    { label: '' },
    { label: 'a\0' },
    { label: 'x', scoped_projects: [] },
    { label: 'x', scoped_projects: [1e12] },
  ])
    assert.equal((await api.call('POST', '/api/personal_api_keys', { body })).status, 400)
  const types = ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'nonsense', '']
  for (const type of types) {
    const answer = await api.call('POST', '/api/projects', { raw: 'a=b', headers: { 'content-type': type } })
    assert.ok(answer.status >= 400 && answer.status < 500, `${type}: ${answer.status}`)
  }
  const paths = [
    '/api/projects/0',
    '/api/projects/99999999999999999999',
    '/api/projects/x',
    '/api/projects/-1',
    '/api/projects/%00',
    '/api/projects/%zz',
    '/api/projects/1/nothing',
    '/api/%2e%2e/x',
    `/api/projects/${'9'.repeat(5000)}`,
  ]
  for (const path of paths) {
    const answer = await api.call('GET', path)
    assert.ok([400, 404, 414].includes(answer.status), `${path}: ${answer.status}`)
    assert.equal(typeof (answer.body as { detail: string }).detail, 'string')
  }
  const lists = ['/api/projects/1/persons', '/api/projects/1/groups?group_type_index=0']
  for (const list of lists)
    for (const query of [
      'limit=0',
      'limit=x',
      'limit=1e9',
      'offset=-1',
      'offset=9e99',
      'cursor=x',
      'cursor=eyJrIjpbXX0',
      'search=%00',
      'limit=',
    ])
      assert.equal(
        (await api.call('GET', `${list}${list.includes('?') ? '&' : '?'}${query}`)).status,
        400,
        `${list} ${query}`,
      )
  assert.equal((await api.call('GET', '/api/projects/1/persons?distinct_id=%00')).status, 400)
  assert.equal((await api.call('GET', '/api/projects/1/groups?group_type_index=5')).status, 400)
})

test('a key limited to a project sees that one alone and manages nothing', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const as = { key: keys.scoped }
  assert.deepEqual(
    resultsOf<{ id: number }>(await api.call('GET', '/api/projects', as)).map(({ id }) => id),
    [2],
  )
  assert.equal((await api.call('GET', '/api/projects/2', as)).status, 200)
  const forbidden = [
    await api.call('POST', '/api/projects', { ...as, body: { name: 'x' } }),
    await api.call('GET', '/api/personal_api_keys', as),
    await api.call('POST', '/api/personal_api_keys', { ...as, body: { label: 'x' } }),
    await api.call('DELETE', `/api/personal_api_keys/${noone}`, as),
    await api.call('GET', '/api/audit', as),
    await api.call('GET', `/api/trace?uuid=${uuid}`, as),
  ]
  assert.deepEqual(
    forbidden.map(({ status }) => status),
    forbidden.map(() => 403),
  )
  for (const { method, path } of createApiRoutes(api.ports, api.config)) {
    if (!path.includes(':project_id')) continue
    const at = path.replace(':project_id', '1').replaceAll(/:\w+/g, noone)
    const answer = await api.call(method, at, {
      ...as,
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: {} }),
    })
    assert.equal(answer.status, 404, `${method} ${at}`)
    assert.equal(
      (
        await api.call(
          method,
          at.replace('/1', '/999'),
          method === 'GET' || method === 'DELETE' ? {} : { body: {} },
        )
      ).status,
      404,
    )
  }
})

test('keys are made, shown without their value, and stop working when they are revoked', async () => {
  const clock = createManualClock()
  await using api = await openTestApi({
    hasWarehouse: false,
    ports: { clock },
    settings: { keyCacheMs: 10_000 },
  })
  const made = await api.call('POST', '/api/personal_api_keys', {
    body: { label: 'new', scoped_projects: [1] },
  })
  assert.equal(made.status, 201)
  const { id, value } = made.body as { id: string; value: string }
  const listed = await api.call('GET', '/api/personal_api_keys')
  assert.equal(listed.text.includes(value), false)
  assert.equal(resultsOf(listed).length, 3)
  assert.equal((await api.call('GET', '/api/projects/1', { key: value })).status, 200)
  assert.equal((await api.call('DELETE', `/api/personal_api_keys/${id}`)).status, 204)
  assert.equal((await api.call('DELETE', `/api/personal_api_keys/${id}`)).status, 404)
  assert.equal((await api.call('DELETE', '/api/personal_api_keys/x')).status, 404)
  await clock.advance(10_000)
  assert.equal((await api.call('GET', '/api/projects/1', { key: value })).status, 401)
})

test('events are listed and read with the names of PostHog', async () => {
  await using api = await openTestApi()
  await insertRows(api.ports.warehouse, 'events', [
    eventRow({
      uuid,
      event: 'bought',
      distinct_id: 'ann',
      properties: '{"plan":"free","$lib":"web"}',
      timestamp: '2026-01-02 03:04:05.678901',
      person_properties: '{"email":"a@b"}',
    }),
    eventRow({ event: 'seen', distinct_id: 'bob' }),
    eventRow({ team_id: 2, distinct_id: 'ann', event: 'bought' }),
  ])
  const one = await api.call('GET', `/api/projects/1/events/${uuid}`)
  assert.deepEqual(one.body, {
    id: uuid,
    distinct_id: 'ann',
    properties: { plan: 'free', $lib: 'web' },
    event: 'bought',
    timestamp: '2026-01-02T03:04:05.678901Z',
    person: { id: '00000000-0000-4000-8000-000000000001', properties: { email: 'a@b' }, mode: 'full' },
    elements_chain: '',
  })
  assert.equal((await api.call('GET', `/api/projects/2/events/${uuid}`)).status, 404)
  assert.equal((await api.call('GET', `/api/projects/1/events/${noone}`)).status, 404)
  assert.equal((await api.call('GET', '/api/projects/1/events/x')).status, 400)
  const names = async (query: string) =>
    resultsOf<{ event: string }>(await api.call('GET', `/api/projects/1/events?${query}`)).map(
      ({ event }) => event,
    )
  assert.deepEqual(await names(''), ['bought', 'seen'])
  assert.deepEqual(await names('order=asc'), ['seen', 'bought'])
  assert.deepEqual(await names('event=seen'), ['seen'])
  assert.deepEqual(await names('distinct_id=ann'), ['bought'])
  assert.deepEqual(await names('after=2026-01-02'), ['bought'])
  assert.deepEqual(await names('before=2026-01-02T00:00:00Z'), ['seen'])
  assert.deepEqual(await names('before=2026-01-02T03:04:05.678901Z&after=2025-12-31T23:00:00-02:00'), [])
  assert.deepEqual(await names(`properties=${encodeURIComponent('[{"key":"plan","value":"free"}]')}`), [
    'bought',
  ])
  assert.deepEqual(
    await names(`properties=${encodeURIComponent('[{"key":"email","value":["a@b"],"type":"person"}]')}`),
    ['bought'],
  )
  assert.deepEqual(await names(`event=${encodeURIComponent("' or 1=1 --")}`), [])
  for (const query of [
    'after=yesterday',
    'after=2026-13-01',
    'person_id=x',
    'order=up',
    'properties=x',
    'properties=[1]',
    'properties=[{"key":"a","operator":"gt","value":"x"}]',
    'properties=[{"key":"a","operator":"regex"}]',
    'cursor=eyJrIjpbImEiLCJiIl19',
    'event=%00',
    'limit=0',
  ])
    assert.equal((await api.call('GET', `/api/projects/1/events?${query}`)).status, 400, query)
})

test('persons and groups are listed and read', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const { database } = api.ports
  await database.execute(
    `insert into posthog_person (id, team_id, uuid, created_at, properties, is_identified) values
     (101, 1, $1, '2026-01-01', '{"email":"ann@x.org","name":"Ann"}', true), (102, 2, $2, '2026-01-01', '{}', false)`,
    [uuid, noone],
  )
  await database.execute(
    `insert into posthog_persondistinctid (team_id, distinct_id, person_id) values (1, 'ann', 101), (1, 'anon', 101), (2, 'ann', 102)`,
  )
  await database.execute(
    `insert into posthog_grouptypemapping (team_id, project_id, group_type, group_type_index) values (1, 1, 'company', 0)`,
  )
  await database.execute(
    `insert into posthog_group (team_id, group_key, group_type_index, group_properties, created_at, version) values (1, 'acme', 0, '{"name":"ACME"}', '2026-01-01', 1), (2, 'other', 0, '{}', '2026-01-01', 1)`,
  )
  const person = await api.call('GET', `/api/projects/1/persons/${uuid}`)
  assert.deepEqual(person.body, {
    ...{ id: uuid, uuid, name: 'ann@x.org', distinct_ids: ['ann', 'anon'], is_identified: true },
    properties: { email: 'ann@x.org', name: 'Ann' },
    created_at: (person.body as { created_at: string }).created_at,
  })
  for (const query of ['', 'distinct_id=anon', 'email=ann@x.org', 'search=NON', 'search=X.ORG'])
    assert.deepEqual(
      resultsOf(await api.call('GET', `/api/projects/1/persons?${query}`)),
      [person.body],
      query,
    )
  assert.deepEqual(resultsOf(await api.call('GET', '/api/projects/1/persons?search=%25')), [])
  assert.equal((await api.call('GET', `/api/projects/1/persons/${noone}`)).status, 404)
  assert.equal((await api.call('GET', '/api/projects/1/persons/x')).status, 400)
  assert.deepEqual((await api.call('GET', '/api/projects/1/groups_types')).body, [
    { group_type: 'company', group_type_index: 0 },
  ])
  const groups = resultsOf<{ group_key: string }>(
    await api.call('GET', '/api/projects/1/groups?group_type_index=0&search=acm'),
  )
  assert.deepEqual(
    groups.map(({ group_key }) => group_key),
    ['acme'],
  )
  assert.deepEqual(
    (await api.call('GET', '/api/projects/1/groups/find?group_type_index=0&group_key=acme')).body,
    groups[0],
  )
  assert.equal(
    (await api.call('GET', '/api/projects/1/groups/find?group_type_index=0&group_key=other')).status,
    404,
  )
  assert.equal((await api.call('GET', '/api/projects/1/groups/find?group_type_index=0')).status, 400)
})

test('an audit and a trace are answered by routes', async () => {
  await using api = await openTestApi()
  await insertRows(api.ports.warehouse, 'drops', [
    {
      uuid,
      distinct_id: 'ann',
      event: 'e',
      token: 't',
      stage: 'capture',
      reason: 'token_dropper',
      ended: 'drop',
      topic: '',
      offset: -1,
      time: '2026-01-01 00:00:00',
    },
  ])
  assert.equal((await api.call('GET', '/api/audit')).status, 200)
  for (const query of [`uuid=${uuid}`, 'distinct_id=ann'])
    assert.equal(resultsOf(await api.call('GET', `/api/trace?${query}`)).length, 1)
  for (const query of ['', 'uuid=x', 'distinct_id=', `uuid=${uuid}&distinct_id=ann`, 'distinct_id=a&limit=0'])
    assert.equal((await api.call('GET', `/api/trace?${query}`)).status, 400, query)
  await api.ports.log.append([{ topic: topics.captured, key: null, value: Buffer.from('{') }])
  assert.equal((await api.call('GET', `/api/trace?uuid=${noone}`)).status, 200)
})
