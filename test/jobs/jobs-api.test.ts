/** The routes of the job queue; every answer is checked against the OpenAPI document. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jobsConfig } from '../../src/jobs/config.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { keys, openTestApi, resultsOf } from '../support/api.ts'
import { quietTelemetry } from '../support/quiet.ts'

type Entry = { id: string; status: string; queue: string }

test('jobs are created, listed page by page, shown, canceled, retried and drained by the API', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const root = `/api/projects/${api.projects[0].id}/jobs`
  const created = await api.call('POST', root, {
    body: {
      jobs: [
        { queue: 'hog', parameters: { url: 'https://example.com' }, blob_base64: 'AAEC', priority: 2 },
        { queue: 'hog', scheduled: '2030-01-01T00:00:00Z', unique_key: 'k', distinct_id: 'd' },
        { queue: 'hog', unique_key: 'k' },
        { queue: 'email', state: { step: 1 }, attempts_max: 1 },
      ],
    },
  })
  assert.equal(created.status, 201, created.text)
  const { ids } = created.body as { ids: (string | null)[] }
  assert.equal(ids[2], null, 'the key is taken')
  const [first = '', second = '', , third = ''] = ids.map((id) => id ?? undefined)

  const pages: string[] = []
  for (let next: string | null = `${root}?limit=2`; next !== null; ) {
    const answer = await api.call('GET', next)
    pages.push(...resultsOf<Entry>(answer).map(({ id }) => id))
    const url: string | null = (answer.body as { next: string | null }).next
    next = url === null ? null : new URL(url).pathname + new URL(url).search
  }
  assert.deepEqual([...pages].sort(), [first, second, third].sort())
  const listed = async (query: string) =>
    resultsOf<Entry>(await api.call('GET', `${root}?${query}`)).map(({ id }) => id)
  assert.deepEqual(await listed('queue=email'), [third])
  assert.deepEqual(await listed('distinct_id=d'), [second])
  assert.deepEqual(await listed('status=running'), [])
  assert.equal((await api.call('GET', `${root}?status=nonsense`)).status, 400)

  const shown = await api.call('GET', `${root}/${first}`)
  const job = shown.body as { parameters: unknown; blob_base64: string; priority: number }
  assert.deepEqual(
    [job.parameters, job.blob_base64, job.priority],
    [{ url: 'https://example.com' }, 'AAEC', 2],
  )
  assert.deepEqual((await api.call('POST', `${root}/${first}/cancel`)).body, {
    id: first,
    status: 'canceled',
  })
  assert.equal((await api.call('POST', `${root}/${first}/cancel`)).status, 409)
  assert.deepEqual((await api.call('POST', `${root}/${first}/retry`)).body, {
    id: first,
    status: 'available',
  })

  const ports = { ...api.ports, databases: [api.ports.database], metrics: quietTelemetry().metrics }
  const jobs = createJobs(ports, jobsConfig.parse({}))
  const claimed = await jobs.claim({ queue: 'email', limit: 9, worker: 'w' })
  const error = { attempt: 1, atMs: 0, kind: 'error', type: 'Error', message: 'no', worker: 'w' } as const
  await jobs.settle(
    claimed.map(({ id, lockId, shard }) => ({
      ...{ id, lockId, shard, error },
      kind: 'dead-letter',
      reason: 'attempts_used_up',
    })),
  )
  assert.deepEqual(await listed('status=dead_letter'), [third])
  const counts = (await api.call('GET', `${root}/counts`)).body as { queue: string; status: string }[]
  assert.deepEqual(
    counts.map(({ queue, status }) => `${queue} ${status}`),
    ['email dead_letter', 'hog available'],
  )
  assert.deepEqual((await api.call('POST', `${root}/drain`, { body: { queue: 'email' } })).body, {
    drained: 1,
  })
  assert.deepEqual(await listed('queue=email&status=available'), [third])
})

test('a key sees the jobs of its projects alone and creates none', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const [one, two] = api.projects
  const root = `/api/projects/${one.id}/jobs`
  const created = await api.call('POST', root, { body: { jobs: [{ queue: 'hog' }] } })
  const [id = ''] = (created.body as { ids: string[] }).ids
  const key = keys.scoped
  assert.equal((await api.call('GET', root, { key })).status, 404)
  const theirs = `/api/projects/${two.id}/jobs`
  assert.equal((await api.call('GET', theirs, { key })).status, 200)
  assert.equal((await api.call('GET', `${theirs}/${id}`, { key })).status, 404)
  for (const action of ['cancel', 'retry'])
    assert.equal((await api.call('POST', `${theirs}/${id}/${action}`, { key })).status, 404)
  assert.equal((await api.call('POST', theirs, { key, body: { jobs: [{ queue: 'hog' }] } })).status, 403)
  assert.equal((await api.call('GET', root, { key: null })).status, 401)
})

test('a request that breaks a rule is told which', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  const root = `/api/projects/${api.projects[0].id}/jobs`
  const refused = async (job: object) => {
    const answer = await api.call('POST', root, { body: { jobs: [job] } })
    assert.equal(answer.status, 400, JSON.stringify(job))
    return (answer.body as { attr: string | null }).attr
  }
  assert.equal(await refused({ queue: '' }), 'jobs.0.queue')
  assert.equal(await refused({}), 'jobs.0.queue')
  assert.equal(await refused({ queue: 'q', priority: 1.5 }), 'jobs.0.priority')
  assert.equal(await refused({ queue: 'q', scheduled: 'soon' }), 'jobs.0.scheduled')
  assert.equal(await refused({ queue: 'q', attempts_max: 0 }), 'jobs.0.attempts_max')
  await refused({ queue: 'q', team_id: 7 })
  for (const path of ['no-uuid', '00000000-0000-7000-8000-000000000000'])
    assert.equal((await api.call('GET', `${root}/${path}`)).status, 404)
  assert.equal((await api.call('GET', `${root}?cursor=bad`)).status, 400)
})
