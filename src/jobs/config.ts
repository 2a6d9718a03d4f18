import { z } from 'zod'
import { Secret } from '../std/secret.ts'

const count = (otherwise: number, description: string, least = 1) =>
  z.number().int().min(least).default(otherwise).meta({ description })
const ms = (otherwise: number, description: string, least = 1) =>
  z.number().int().min(least).default(otherwise).meta({ description })

/** The job queue's settings: whoever creates jobs, runs them or tidies up uses the same ones. */
export const jobsConfig = z
  .strictObject({
    shardUrls: z
      .array(
        z
          .string()
          .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
          .transform((text) => new Secret(text)),
      )
      .default([])
      .meta({
        description: 'PostgreSQL databases that keep the jobs; none: the one that keeps everything else.',
        env: 'CYCLOTRON_NODE_DATABASE_URL',
        secret: true,
      }),
    shardDepthMax: count(
      1_000_000,
      'Waiting jobs from which on a database is full: the next one is taken, and when all are full jobs are refused.',
    ),
    depthSampleMs: ms(10_000, 'How long a count of the waiting jobs is believed, in ms.'),
    createMax: count(1000, 'Jobs that one statement creates; larger lists are created in several.'),
    payloadBytesMax: count(
      10_000_000,
      'Largest state, parameters, metadata or blob of a job, in bytes before compression.',
    ),
    compressBytesMin: count(
      1024,
      'From this size on, in bytes, what a job carries is compressed with gzip.',
      0,
    ),
    attemptsMax: z.number().int().min(1).max(100).default(3).meta({
      description: 'How often a job is tried that does not say so itself, before it becomes a dead letter.',
    }),
    retryDelayMs: ms(1000, 'Wait after the first failed attempt, in ms; it doubles with each.', 0),
    retryDelayMaxMs: ms(100_000, 'Longest wait between two attempts, in ms.', 0),
    errorBytesMax: count(10_240, 'Most of an error that is kept for an attempt, in bytes.', 100),
    errorsMax: count(100, 'Errors that a job keeps; of more, the newest.'),
    concurrencyMax: count(100, 'Jobs that a worker runs at once.'),
    claimMax: count(500, 'Jobs that a worker claims with one statement.'),
    lingerMs: ms(
      2,
      'How long a worker waits for more of its jobs to end before it writes results or claims for few free places, in ms.',
      0,
    ),
    settleMax: count(1000, 'Ended jobs that a worker writes with one statement.'),
    unsettledMax: count(4000, 'Ended jobs that wait to be written, beyond which a worker claims no more.'),
    pollIntervalMs: ms(
      1000,
      'How often an idle worker looks for jobs by itself, in ms. Created jobs wake it, scheduled ones do not.',
    ),
    isNotifying: z.boolean().default(true).meta({
      description: 'Tell workers of created jobs by NOTIFY. Without it they find them by polling.',
    }),
    heartbeatIntervalMs: ms(10_000, 'How often a worker says that it still has its jobs, in ms.'),
    stallTimeoutMs: ms(
      30_000,
      'A running job whose worker was not heard of for this long is given to another, in ms.',
    ),
    stallDelayMs: ms(1000, 'Wait before a stalled job runs again, in ms; it doubles each time.', 0),
    stallDelayMaxMs: ms(60_000, 'Longest wait before a stalled job runs again, in ms.', 0),
    touchesMax: z.number().int().min(1).max(1000).default(3).meta({
      description: 'A job that stalled this often is a poison pill and becomes a dead letter.',
    }),
    janitorIntervalMs: ms(10_000, 'How often the janitor tidies up, in ms.'),
    janitorBatchMax: count(10_000, 'Jobs that one statement of the janitor deletes or resets.'),
    doneKeepMs: ms(
      10_000,
      'How long completed and canceled jobs are kept, in ms. 0 deletes completed ones at once.',
      0,
    ),
    failedKeepMs: ms(86_400_000, 'How long failed jobs are kept, in ms.', 0),
    deadLetterKeepMs: ms(30 * 86_400_000, 'How long dead letters are kept, in ms.', 0),
    queueLabelsMax: count(200, 'Queues that metrics tell apart; further ones are not measured.'),
    vacuumRowsMin: count(
      100_000,
      'Deleted jobs after which the janitor asks PostgreSQL to vacuum the table. 0 leaves it to autovacuum.',
      0,
    ),
  })
  .superRefine((config, context) => {
    if (config.stallTimeoutMs < 2 * config.heartbeatIntervalMs)
      context.addIssue({
        code: 'custom',
        message: `jobs.stallTimeoutMs (${config.stallTimeoutMs}) is less than twice jobs.heartbeatIntervalMs (${config.heartbeatIntervalMs}): one late heartbeat would give running jobs to a second worker. Raise the first or lower the second.`,
      })
  })

export type JobsConfig = z.output<typeof jobsConfig>
