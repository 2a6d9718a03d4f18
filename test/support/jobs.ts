/** A job queue on a database of the test's own. */
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { jobsConfig } from '../../src/jobs/config.ts'
import { createJobs, type Jobs } from '../../src/jobs/jobs.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Database } from '../../src/ports/database.ts'
import type { Random } from '../../src/ports/random.ts'
import { openTestDatabase } from './database.ts'
import { quietTelemetry } from './quiet.ts'

export type TestJobs = AsyncDisposable & {
  jobs: Jobs
  /** What workers and janitors take. */
  context: { jobs: Jobs; clock: Clock; random: Random } & ReturnType<typeof quietTelemetry>
  databases: readonly Database[]
  connectionString: string
}

export async function openTestJobs(
  options: { clock?: Clock; random?: Random; shards?: number; settings?: object } = {},
): Promise<TestJobs> {
  await using stack = new AsyncDisposableStack()
  const opened = []
  for (let shard = 0; shard < (options.shards ?? 1); shard++) opened.push(stack.use(await openTestDatabase()))
  const databases = opened.map(({ database }) => database)
  const ground = {
    clock: options.clock ?? createSystemClock(),
    random: options.random ?? createSystemRandom(),
    ...quietTelemetry(),
  }
  const jobs = createJobs({ ...ground, databases }, jobsConfig.parse(options.settings ?? {}))
  const owned = stack.move()
  return {
    jobs,
    context: { ...ground, jobs },
    databases,
    connectionString: opened[0]?.connectionString ?? '',
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
