/** posthog-node in front, SQL and the API at the end, everything real between them. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { PostHog } from 'posthog-node'
import { startRowmill, type TestRowmill } from '../support/rowmill.ts'

suite('posthog-node', () => {
  let rowmill: TestRowmill
  before(async () => {
    rowmill = await startRowmill()
  })
  after(async () => {
    await rowmill[Symbol.asyncDispose]()
  })

  async function send(
    use: (client: PostHog) => void | Promise<void>,
    options: { disableCompression?: boolean } = {},
  ): Promise<void> {
    const client = new PostHog(rowmill.token, {
      host: rowmill.url,
      flushAt: 20,
      flushInterval: 0,
      ...options,
    })
    await use(client)
    await client.shutdown()
  }

  test('an event with properties becomes a row with exactly these properties', async () => {
    await send((client) =>
      client.capture({
        distinctId: 'ada',
        event: 'order placed',
        properties: { price: 12.5, items: ['tea', 'milk'], note: 'naïve ☕' },
      }),
    )
    const rows = await rowmill.until<[string, string]>(
      "select distinct_id, properties from events where event = 'order placed'",
      (found) => found.length === 1,
    )
    const [row] = rows
    assert.equal(row?.[0], 'ada')
    const properties = JSON.parse(row?.[1] ?? '{}') as Record<string, unknown>
    assert.equal(properties.price, 12.5)
    assert.deepEqual(properties.items, ['tea', 'milk'])
    assert.equal(properties.note, 'naïve ☕')
    assert.equal(properties.$lib, 'posthog-node')
  })

  test('identify sets the properties of a person, set once keeps the first', async () => {
    await send((client) => {
      client.identify({
        distinctId: 'grace',
        properties: { $set: { email: 'grace@example.com' }, $set_once: { source: 'first' } },
      })
      client.capture({
        distinctId: 'grace',
        event: 'seen',
        properties: { $set: { plan: 'pro' }, $set_once: { source: 'second' } },
      })
    })
    await rowmill.until("select uuid from events where event = 'seen'", (found) => found.length === 1)
    const { body } = await rowmill.api('GET', '/api/projects/1/persons?distinct_id=grace')
    const { results } = body as { results: { properties: Record<string, unknown>; name: string }[] }
    assert.equal(results.length, 1)
    assert.equal(results[0]?.name, 'grace@example.com')
    assert.equal(results[0]?.properties.plan, 'pro')
    assert.equal(results[0]?.properties.source, 'first')
  })

  test('alias makes two distinct ids one person, in PostgreSQL and in SQL over the rows', async () => {
    await send(async (client) => {
      client.capture({ distinctId: 'linus-phone', event: 'opened app' })
      client.capture({ distinctId: 'linus', event: 'opened site' })
      await client.flush()
      client.alias({ distinctId: 'linus', alias: 'linus-phone' })
    })
    await rowmill.until(
      "select uuid from events where event = '$create_alias' and distinct_id = 'linus'",
      (found) => found.length === 1,
    )
    const { body } = await rowmill.api('GET', '/api/projects/1/persons?distinct_id=linus')
    const { results } = body as { results: { distinct_ids: string[] }[] }
    assert.deepEqual(results[0]?.distinct_ids.toSorted(), ['linus', 'linus-phone'])
    await rowmill.until<[string]>(
      "select uniqExact(person_id) from events_with_person where distinct_id in ('linus', 'linus-phone')",
      (found) => Number(found[0]?.[0]) === 1,
    )
  })

  test('groups get their properties, and events carry the group', async () => {
    await send((client) => {
      client.groupIdentify({ groupType: 'company', groupKey: 'acme', properties: { seats: 12 } })
      client.capture({ distinctId: 'ada', event: 'invited', groups: { company: 'acme' } })
    })
    await rowmill.until("select uuid from events where event = 'invited'", (found) => found.length === 1)
    const types = await rowmill.api('GET', '/api/projects/1/groups_types')
    assert.deepEqual(types.body, [{ group_type: 'company', group_type_index: 0 }])
    const { body } = await rowmill.api('GET', '/api/projects/1/groups?group_type_index=0')
    const { results } = body as {
      results: { group_key: string; group_properties: Record<string, unknown> }[]
    }
    assert.equal(results[0]?.group_key, 'acme')
    assert.equal(results[0]?.group_properties.seats, 12)
    const rows = await rowmill.query<[string]>("select `$group_0` from events where event = 'invited'")
    assert.deepEqual(rows, [['acme']])
  })

  test('a batch of a thousand events with and without compression arrives whole, each once', async () => {
    for (const disableCompression of [true, false])
      await send(
        (client) => {
          for (let index = 0; index < 500; index++)
            client.capture({
              distinctId: `crowd-${index % 10}`,
              event: 'crowd',
              properties: { index, disableCompression },
            })
        },
        { disableCompression },
      )
    const rows = await rowmill.until<[string, string]>(
      "select count(), uniqExact(uuid) from events where event = 'crowd'",
      ([found]) => Number(found?.[0]) >= 1000,
    )
    assert.deepEqual(
      rows.map((row) => row.map(Number)),
      [[1000, 1000]],
    )
  })

  test('an event that opts out of a person profile makes none', async () => {
    await send((client) =>
      client.capture({
        distinctId: 'nobody-known',
        event: 'anonymous',
        properties: { $process_person_profile: false },
      }),
    )
    const rows = await rowmill.until<[string]>(
      "select toString(person_mode) from events where event = 'anonymous'",
      (found) => found.length === 1,
    )
    assert.deepEqual(rows, [['propertyless']])
    const { body } = await rowmill.api('GET', '/api/projects/1/persons?distinct_id=nobody-known')
    assert.deepEqual((body as { results: unknown[] }).results, [])
  })

  test('feature flags are answered, so the client is content', async () => {
    const client = new PostHog(rowmill.token, { host: rowmill.url, personalApiKey: rowmill.apiKey })
    const errors: unknown[] = []
    client.on('error', (error) => errors.push(error))
    try {
      assert.deepEqual(await client.getAllFlags('ada'), {})
      assert.equal((await client.isFeatureEnabled('nothing', 'ada')) ?? false, false)
      await client.reloadFeatureFlags()
    } finally {
      await client.shutdown()
    }
    assert.deepEqual(errors, [])
  })
})
