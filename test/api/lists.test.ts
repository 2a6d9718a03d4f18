import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import fc from 'fast-check'
import { eventRow, insertRows, openTestApi, resultsOf, type TestApi } from '../support/api.ts'

type Page = { next: string | null; previous: string | null; results: Record<string, unknown>[] }

suite('lists', () => {
  let api: TestApi
  before(async () => {
    api = await openTestApi()
  })
  after(() => api[Symbol.asyncDispose]())

  const pageAt = async (address: string): Promise<Page> => {
    const path = address.startsWith('http') ? address.slice(api.url.length) : address
    const answer = await api.call('GET', path)
    assert.equal(answer.status, 200, answer.text)
    return answer.body as Page
  }
  /** Reads forwards to the end and backwards to the beginning, and answers both. */
  const walk = async (first: string, idOf: (row: Record<string, unknown>) => unknown) => {
    const forwards: unknown[] = []
    let page = await pageAt(first)
    assert.equal(page.previous, null)
    forwards.push(...page.results.map(idOf))
    while (page.next !== null) {
      page = await pageAt(page.next)
      forwards.push(...page.results.map(idOf))
    }
    let backwards = page.results.map(idOf)
    while (page.previous !== null) {
      page = await pageAt(page.previous)
      backwards = [...page.results.map(idOf), ...backwards]
    }
    return { forwards, backwards }
  }

  test('pages of events give each event once, in order, forwards and backwards, with equal times', async () => {
    const rows = Array.from({ length: 37 }, (_, at) =>
      eventRow({ timestamp: `2026-01-01 00:00:00.00000${at % 4}`, event: `e${at % 3}` }),
    )
    await insertRows(api.ports.warehouse, 'events', rows)
    for (const [order, limit] of [
      ['desc', 5],
      ['asc', 7],
      ['desc', 37],
      ['asc', 1000],
    ]) {
      const { forwards, backwards } = await walk(
        `/api/projects/1/events?order=${order}&limit=${limit}`,
        ({ id }) => id,
      )
      const sorted = rows
        .toSorted((left, right) =>
          `${left.timestamp}${left.uuid}`.localeCompare(`${right.timestamp}${right.uuid}`, 'en'),
        )
        .map(({ uuid }) => uuid)
      assert.deepEqual(forwards, order === 'asc' ? sorted : sorted.toReversed())
      assert.deepEqual(backwards, forwards)
    }
  })

  test('events that arrive between two pages neither repeat nor hide any', async () => {
    const old = Array.from({ length: 6 }, (_, at) =>
      eventRow({ team_id: 2, timestamp: `2026-01-01 00:00:0${at}.000000` }),
    )
    await insertRows(api.ports.warehouse, 'events', old)
    const first = await pageAt('/api/projects/2/events?limit=3')
    await insertRows(api.ports.warehouse, 'events', [
      eventRow({ team_id: 2, timestamp: '2026-02-01 00:00:00.000000' }),
    ])
    const second = await pageAt(first.next ?? '')
    const seen = [...first.results, ...second.results].map(({ id }) => id)
    assert.deepEqual(
      seen,
      old.toReversed().map(({ uuid }) => uuid),
    )
    assert.equal(second.next, null)
    const skipped = await pageAt('/api/projects/2/events?limit=3&offset=4')
    assert.deepEqual(
      skipped.results.map(({ id }) => id),
      old
        .slice(0, 3)
        .toReversed()
        .map(({ uuid }) => uuid),
    )
  })

  test('pages of persons and groups give each once, forwards and backwards', async () => {
    const { database } = api.ports
    await database.execute(
      `insert into posthog_person (team_id, uuid, created_at) select 1, gen_random_uuid(), timestamptz '2026-01-01' + (n % 4) * interval '1 microsecond' from generate_series(1, 23) n`,
    )
    await database.execute(
      `insert into posthog_group (team_id, group_key, group_type_index, created_at, version) select 1, 'g' || n, 1, timestamptz '2026-01-01' + (n % 4) * interval '1 microsecond', 1 from generate_series(1, 23) n`,
    )
    const lists = [
      ['/api/projects/1/persons?limit=4', 'uuid'],
      ['/api/projects/1/groups?group_type_index=1&limit=4', 'group_key'],
    ] as const
    for (const [path, key] of lists) {
      const { forwards, backwards } = await walk(path, (row) => row[key])
      assert.equal(new Set(forwards).size, 23)
      assert.equal(forwards.length, 23)
      assert.deepEqual(backwards, forwards)
    }
  })

  test('a link to a page never holds a key and keeps the filters', async () => {
    const page = await pageAt('/api/projects/1/events?limit=1&event=e1&personal_api_key=phx_all')
    const next = new URL(page.next ?? '')
    assert.equal(next.searchParams.get('event'), 'e1')
    assert.equal(next.searchParams.has('personal_api_key'), false)
  })

  test('property filters agree with a plain model', async () => {
    const scalars = [
      null,
      true,
      false,
      0,
      1,
      -2.5,
      10,
      'a',
      'A b',
      '1',
      '10',
      'true',
      'null',
      '',
      'ä',
      'Ä',
      '{"x":1}',
    ] as const
    const people: { id: string; properties: Record<string, unknown> }[] = [
      { id: crypto.randomUUID(), properties: {} },
      ...[...scalars, ['a'], { x: 1 }].map((value) => ({
        id: crypto.randomUUID(),
        properties: { p: value },
      })),
    ]
    const rows = people.map(({ id, properties }) =>
      eventRow({ uuid: id, event: 'filtered', properties: JSON.stringify(properties) }),
    )
    await insertRows(api.ports.warehouse, 'events', rows)
    const operators = [
      'exact',
      'is_not',
      'icontains',
      'not_icontains',
      'gt',
      'gte',
      'lt',
      'lte',
      'is_set',
      'is_not_set',
    ] as const
    const values = scalars.filter((value) => value !== null)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...operators),
        fc.oneof(
          fc.constantFrom(...values),
          fc.array(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
        ),
        async (operator, given) => {
          const isOrder = ['gt', 'gte', 'lt', 'lte'].includes(operator)
          const value = isOrder ? (Array.isArray(given) ? 1 : Number(given) || 0) : given
          const filter = encodeURIComponent(JSON.stringify([{ key: 'p', operator, value }]))
          const answer = await api.call(
            'GET',
            `/api/projects/1/events?event=filtered&limit=1000&properties=${filter}`,
          )
          const found = new Set(resultsOf<{ id: string }>(answer).map(({ id }) => id))
          const expected = people
            .filter(({ properties }) => matches(properties.p, operator, value))
            .map(({ id }) => id)
          assert.deepEqual(found, new Set(expected), `${operator} ${JSON.stringify(value)}`)
        },
      ),
      { numRuns: 60 },
    )
  })
})

function matches(property: unknown, operator: string, value: unknown): boolean {
  const isSet = property !== undefined && property !== null
  const text = typeof property === 'string' ? property : JSON.stringify(property)
  const values = Array.isArray(value) ? value : [value]
  const isNumeric = (one: unknown) =>
    typeof one === 'number' || (typeof one === 'string' && /^-?\d+(\.\d+)?$/.test(one))
  const isEqual = () =>
    isSet &&
    (typeof property === 'number'
      ? values.some((one) => isNumeric(one) && Number(one) === property)
      : values.some((one) => String(one) === text))
  const contains = () => isSet && text.toLowerCase().includes(String(values[0]).toLowerCase())
  const isNumber = isSet && isNumeric(property)
  const number = Number(values[0])
  const compare: Record<string, () => boolean> = {
    exact: isEqual,
    is_not: () => !isEqual(),
    icontains: contains,
    not_icontains: () => !contains(),
    is_set: () => isSet,
    is_not_set: () => !isSet,
    gt: () => isNumber && Number(property) > number,
    gte: () => isNumber && Number(property) >= number,
    lt: () => isNumber && Number(property) < number,
    lte: () => isNumber && Number(property) <= number,
  }
  return compare[operator]?.() ?? false
}
