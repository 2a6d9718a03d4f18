/** Commands that know nothing but the addresses of a fleet's engines. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { suite, test } from 'node:test'
import { capture, type Fleet, noFleet, openFleet } from '../../support/fleet-processes.ts'
import { waitFor } from '../../support/wait-for.ts'

async function read<T>(fleet: Fleet, ...words: string[]): Promise<T> {
  const { code, out, err } = await fleet.command(...words, '--json')
  assert.equal(code, 0, `${words.join(' ')}: ${out}${err}`)
  return JSON.parse(out) as T
}

suite('a fleet is asked from anywhere', { skip: noFleet }, () => {
  test('audit, trace, query, offsets, keys, project, dlq, tail, doctor and load', async () => {
    await using fleet = await openFleet()
    const [taking] = await Promise.all(
      ['capture', 'ingest', 'datasets', 'api'].map((roles) => fleet.start(roles)),
    )
    assert.ok(taking)
    const uuid = randomUUID()
    const events = [{ uuid, event: 'asked', distinct_id: 'ann', properties: {} }]
    assert.equal((await capture(taking.url, fleet.token, events)).status, 200)
    assert.equal((await fleet.command('audit', '--wait', '90')).code, 0)

    const rows = await read<{ event: string }[]>(fleet, 'query', 'select event from events')
    assert.deepEqual(rows, [{ event: 'asked' }])
    assert.match(JSON.stringify(await read(fleet, 'trace', uuid)), /asked/)
    const offsets = await read<{ group: string; waiting: number }[]>(fleet, 'offsets')
    assert.ok(offsets.some(({ group }) => group === 'ingestion'))
    const keys = await read<{ projects: { token: string }[] }>(fleet, 'keys')
    assert.equal(keys.projects[0]?.token, fleet.token)
    assert.match((await fleet.command('project', '--json')).out, new RegExp(fleet.token))
    assert.deepEqual(await read(fleet, 'dlq', 'list'), [])
    const findings = await read<{ subject: string; state: string; says: string }[]>(fleet, 'doctor')
    const states = findings.filter(({ state }) => state === 'bad')
    assert.deepEqual(states, [])
    for (const subject of ['PostgreSQL', 'ClickHouse', 'Redis', 'log', 'topics'])
      assert.ok(
        findings.some((finding) => finding.subject === subject && finding.state === 'good'),
        `${subject}: ${JSON.stringify(findings)}`,
      )
    const load = await fleet.command('load', '--json', '--events', '100', '--url', taking.url, '--wait', '90')
    assert.equal(load.code, 0, load.out + load.err)
    assert.ok(!existsSync('./data'), 'nothing was made where the command ran')
  })

  test('the doctor says which engine is away, and what to do', async () => {
    await using fleet = await openFleet({
      isOwn: true,
      environment: { ROWMILL_KAFKA_OPERATION_TIMEOUT_MS: '2000', ROWMILL_REDIS_START_TIMEOUT_MS: '500' },
    })
    await fleet.kafka.stop()
    await fleet.redis.kill()
    const { code, out } = await fleet.command('doctor', '--json')
    assert.equal(code, 3)
    const findings = JSON.parse(out) as { subject: string; state: string; advice?: string }[]
    const bad = findings.filter(({ state }) => state === 'bad')
    assert.deepEqual(bad.map(({ subject }) => subject).sort(), ['Redis', 'log'])
    for (const { advice = '' } of bad) assert.match(advice, /REDIS_URL|KAFKA_HOSTS/)
    const says = await waitFor(() => findings.find(({ subject }) => subject === 'PostgreSQL'))
    assert.notEqual(says.state, 'bad')
  })
})
