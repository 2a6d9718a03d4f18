/**
 * How many events per second the people of ingest can be computed for, against the managed PostgreSQL:
 * batches of 1 000 events through `Entities.run`, for people that exist and for people that do not. Each case
 * prints one JSON line, beside the floor of the same run: a transaction that writes the same number of bare
 * rows in one statement.
 *
 *     node bench/persons.ts [batches]
 */
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { postgresConfig } from '../src/adapters/embedded/postgres/config.ts'
import { openManagedPostgres } from '../src/adapters/embedded/postgres/managed-postgres.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { loadMigrations } from '../src/adapters/migration-files.ts'
import { databaseConfig } from '../src/adapters/postgres/config.ts'
import { openDatabase } from '../src/adapters/postgres/database.ts'
import { migrateDatabase } from '../src/adapters/postgres/migrations.ts'
import { needsOf } from '../src/ingest/entities/needs.ts'
import { createEntities } from '../src/ingest/entities.ts'
import { personsConfig } from '../src/ingest/persons/config.ts'
import type { PersonEvent } from '../src/ingest/persons/person-event.ts'
import type { Database, DatabaseSession } from '../src/ports/database.ts'
import { Secret } from '../src/std/secret.ts'
import { quietTelemetry } from '../test/support/quiet.ts'
import { createSeededRandom } from '../test/support/seeded-random.ts'
import { tempDir } from '../test/support/temp-dir.ts'

const batchEvents = 1_000
const knownPersons = 50_000
const batches = Number(process.argv[2] ?? 20)
const startMs = Date.UTC(2026, 0, 5, 12)

const random = createSeededRandom(7)
const statements = { count: 0 }
const context = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
await using directory = await tempDir('rowmill-bench-')
const serverConfig = { ...postgresConfig.parse({}), directory: directory.path }
await using server = await openManagedPostgres(context, serverConfig)
const url = new Secret(server.connectionString)
await using opened = await openDatabase(context, { ...databaseConfig.parse({}), url })
const files = await loadMigrations(new URL('../sql/postgres/', import.meta.url))
await migrateDatabase(opened, { files, logger: context.logger })
const database = countStatements(opened)
const entities = createEntities({ ...context, database }, personsConfig.parse({}))
const offset = { next: 0 }

await measure('floor: bare rows', Math.min(batches, 20), floorBatch)
await measure('new persons', knownPersons / batchEvents, (batch) =>
  runBatch((index) => pageview(batch * batchEvents + index, index)),
)
await database.execute('analyze')
await measure('known persons, page views', batches, () => runBatch((index) => pageview(somebody(), index)))
await measure('the same 5 000 persons, page views', batches, () =>
  runBatch((index) => pageview(somebody() % 5_000, index)),
)
await measure('known persons, one event in ten sets a property', batches, () =>
  runBatch((index) =>
    index % 10 === 0
      ? withSet(pageview(somebody(), index), { plan: random.next() })
      : pageview(somebody(), index),
  ),
)
await measure('known persons, every event sets a property', batches, () =>
  runBatch((index) => withSet(pageview(somebody(), index), { plan: random.next() })),
)
await measure('known persons, every person seen in a new hour', batches, (batch) =>
  runBatch((index) => ({ ...pageview(somebody(), index), timestampMs: startMs + (batch + 1) * 3_600_000 })),
)
await measure('identify, every event merges two new ids', Math.min(batches, 20), (batch) =>
  runBatch((index) => ({
    ...pageview(batch * batchEvents + index, index),
    event: '$identify',
    distinctId: `named-${batch}-${index}`,
    properties: {
      $anon_distinct_id: `fresh-${batch}-${index}`,
      $set: { email: `${batch}-${index}@example.com` },
    },
  })),
)

async function measure(name: string, count: number, run: (batch: number) => Promise<void>): Promise<void> {
  statements.count = 0
  const times: number[] = []
  for (let batch = 0; batch < count; batch++) {
    const from = performance.now()
    await run(batch)
    times.push(performance.now() - from)
  }
  const totalMs = times.reduce((sum, ms) => sum + ms, 0)
  const median = times.toSorted((left, right) => left - right)[Math.floor(times.length / 2)] ?? 0
  const line = {
    bench: 'persons',
    case: name,
    eventsPerSecond: Math.round((count * batchEvents * 1000) / totalMs),
    medianBatchMs: Number(median.toFixed(1)),
    statementsPerBatch: Number((statements.count / count).toFixed(1)),
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function runBatch(make: (index: number) => PersonEvent): Promise<void> {
  const events = Array.from({ length: batchEvents }, (_, index) => make(index))
  const from = offset.next
  offset.next += batchEvents
  const range = { group: 'bench', topic: 'bench', partition: 0, from, until: offset.next }
  await entities.run(range, needsOf(events), (view) => events.map((event) => view.applyPerson(event)))
}

async function floorBatch(): Promise<void> {
  const texts = Array.from({ length: batchEvents }, (_, index) =>
    JSON.stringify(pageview(index, index).properties),
  )
  await database.transaction(async (session) => {
    await session.execute(
      `insert into rowmill_ingest_batch (stage, topic, partition, from_offset, until_offset, before)
       select 'floor', n::text, 0, 0, 0, t from unnest($1::text[]) with ordinality as r(t, n)
       on conflict (stage, topic, partition) do update set before = excluded.before`,
      [texts],
    )
  })
}

function somebody(): number {
  return Math.floor(random.next() * knownPersons)
}

function pageview(person: number, index: number): PersonEvent {
  const page = Math.floor(random.next() * 1000)
  return {
    teamId: 1,
    uuid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
    event: '$pageview',
    distinctId: `person-${person}`,
    timestampMs: startMs,
    processing: 'on',
    properties: {
      $set: {
        $browser: 'Chrome',
        $browser_version: 142,
        $os: 'Mac OS X',
        $os_version: '10.15.7',
        $device_type: 'Desktop',
        $current_url: `https://example.com/products/${page}?from=home`,
        $pathname: `/products/${page}`,
        $referrer: 'https://www.google.com/',
        $referring_domain: 'www.google.com',
        $viewport_height: 969,
        $viewport_width: 1728,
      },
      $set_once: {
        $initial_current_url: `https://example.com/products/${page}?from=home`,
        $initial_pathname: `/products/${page}`,
        $initial_referrer: 'https://www.google.com/',
        $initial_referring_domain: 'www.google.com',
        $initial_browser: 'Chrome',
        $initial_os: 'Mac OS X',
        $initial_device_type: 'Desktop',
      },
    },
  }
}

function withSet(event: PersonEvent, set: Record<string, unknown>): PersonEvent {
  const { $set } = event.properties
  return { ...event, properties: { ...event.properties, $set: { ...($set ?? {}), ...set } } }
}

function countStatements(inner: Database): Database {
  const counting = (session: DatabaseSession): DatabaseSession => ({
    query: (text, values) => {
      statements.count++
      return session.query(text, values)
    },
    execute: (text, values) => {
      statements.count++
      return session.execute(text, values)
    },
  })
  return {
    ...counting(inner),
    transaction: (run) => {
      statements.count += 2
      return inner.transaction((session) => run(counting(session)))
    },
    withLock: (name, run, options) => inner.withLock(name, run, options),
    listen: (channel, options) => inner.listen(channel, options),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}
