/**
 * A worker as a process of its own, for the crash test: settings as JSON in the first argument. Each run of a
 * handler is a row of `runs`, written before and after the work, so that the test can tell who ran what when.
 */
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { databaseConfig } from '../../src/adapters/postgres/config.ts'
import { openDatabase } from '../../src/adapters/postgres/database.ts'
import { jobsConfig } from '../../src/jobs/config.ts'
import { runJobJanitor } from '../../src/jobs/janitor.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { runJobWorker } from '../../src/jobs/worker.ts'
import { Secret } from '../../src/std/secret.ts'
import { quietTelemetry } from './quiet.ts'

const given: { url: string; name: string; settings: object } = JSON.parse(process.argv[2] ?? '{}')
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
await using database = await openDatabase(ground, { ...databaseConfig.parse({}), url: new Secret(given.url) })
const jobs = createJobs({ ...ground, databases: [database] }, jobsConfig.parse(given.settings))
const context = { ...ground, jobs }
const janitor = runJobJanitor(context, { signal: stop.signal })
await runJobWorker(context, {
  queue: 'crash',
  name: given.name,
  stop: stop.signal,
  signal: new AbortController().signal,
  handle: async ({ id, parameters }) => {
    const [row] = await database.query<{ run: string }>(
      'insert into runs (job, pid, began) values ($1, $2, clock_timestamp()) returning run',
      [id, process.pid],
    )
    // Some are poison: they take their worker down each time.
    if (parameters === 'poison') process.kill(process.pid, 'SIGKILL')
    await ground.clock.sleep(ground.random.next() * 30)
    if (parameters === 'fails') {
      await database.execute('update runs set ended = clock_timestamp() where run = $1', [row?.run])
      throw new Error('fails each time')
    }
    await database.execute('update runs set ended = clock_timestamp() where run = $1', [row?.run])
  },
})
await janitor
