/** One Kafka, one PostgreSQL and one Redis for a whole run of tests, where the machine has them. */
import { noKafka, openKafka } from '../test/support/engines/kafka.ts'
import { noPostgres, openPostgres } from '../test/support/engines/postgres.ts'
import { noRedis, openRedis } from '../test/support/engines/redis.ts'

type Engine = {
  support: string
  variable: string
  missing: string | false
  open: (stack: AsyncDisposableStack) => Promise<string>
}

const engines: readonly Engine[] = [
  {
    support: 'test/support/engines/kafka.ts',
    variable: 'ROWMILL_TEST_KAFKA',
    missing: noKafka,
    open: async (stack) => stack.use(await openKafka({ isOwn: true })).address,
  },
  {
    support: 'test/support/engines/postgres.ts',
    variable: 'ROWMILL_TEST_POSTGRES',
    missing: noPostgres,
    open: async (stack) => stack.use(await openPostgres({ isOwn: true })).url,
  },
  {
    support: 'test/support/engines/redis.ts',
    variable: 'ROWMILL_TEST_REDIS',
    missing: noRedis,
    open: async (stack) => stack.use(await openRedis({ isOwn: true })).url,
  },
]

export type OutsideEngines = { environment: Record<string, string> } & AsyncDisposable

/** Starts those that are wanted, are on this machine, and are not named by the environment already. */
export async function outsideEngines(isWanted: (support: string) => boolean): Promise<OutsideEngines> {
  await using stack = new AsyncDisposableStack()
  const environment: Record<string, string> = {}
  const starting = engines
    .filter(({ support, variable, missing }) => {
      return missing === false && process.env[variable] === undefined && isWanted(support)
    })
    .map(async ({ variable, open }) => {
      environment[variable] = await open(stack)
    })
  const failed = (await Promise.allSettled(starting)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  const owned = stack.move()
  return { environment, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
