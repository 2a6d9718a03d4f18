import type { JobEntry, JobStatus } from '../../../jobs/job.ts'
import { jobStatuses } from '../../../jobs/job.ts'
import type { Jobs } from '../../../jobs/jobs.ts'
import { openJobs } from '../../../platform/jobs/open-jobs.ts'
import { joinEngines } from '../../../platform/join.ts'
import { isUuid } from '../../../std/uuid.ts'
import { type Command, type CommandContext, type ExitCode, UsageError } from '../../command.ts'
import { json } from '../../output.ts'
import { countTable, describeJob, jobJson, jobTable } from './job-text.ts'

const listedByDefault = 50
const listedMax = 10_000
const drainedMax = 100_000

export const jobsCommand: Command = {
  name: 'jobs',
  summary: 'Look at the job queue, retry and cancel jobs, put dead letters back.',
  usage: 'jobs [list | counts | show <id> | retry <id>… | cancel <id>… | drain [queue]] [options]',
  wordsMax: 1000,
  options: {
    queue: { kind: 'text', placeholder: 'name', description: 'Only jobs of this queue (list).' },
    status: {
      kind: 'text',
      placeholder: 'status',
      description: `Only jobs of this status: ${jobStatuses.join(', ')} or dead_letter (list).`,
    },
    project: { kind: 'text', placeholder: 'id', description: 'Only jobs of this project.' },
    limit: {
      kind: 'text',
      placeholder: 'count',
      description: `How many to list (default ${listedByDefault}) or to drain (default all).`,
    },
    all: { kind: 'flag', description: 'Drain the dead letters of every queue.' },
    discard: { kind: 'flag', description: 'Delete the dead letters instead of putting them back (drain).' },
  },
  async run(context) {
    const [action = 'list', ...words] = context.positionals
    const work = actions[action]
    if (work === undefined) throw new UsageError(`jobs does not know ${action}.`)
    const run = work(context, words)
    const { config } = context.config()
    await using engines = await joinEngines(config)
    await using jobs = await openJobs(engines, config.jobs)
    return await run(jobs)
  },
}

type Work = (context: CommandContext, words: readonly string[]) => (jobs: Jobs) => Promise<ExitCode>

/** Each checks its words first, before an engine is opened for it. */
const actions: Readonly<Record<string, Work>> = {
  list(context, words) {
    if (words.length > 0) throw new UsageError('jobs list takes no ids; jobs show does.')
    const { terminal, isJson } = context
    const filter = {
      status: statusOf(context),
      queue: textOf(context, 'queue'),
      teamIds: teamIds(context),
      limit: countOf(context, { otherwise: listedByDefault, max: listedMax }),
    }
    return async (jobs) => {
      const found = await jobs.list(filter)
      if (isJson) terminal.out(json(found.map(jobJson)))
      else terminal.out(found.length === 0 ? 'There are no such jobs.\n' : jobTable(terminal, found))
      return 0
    }
  },
  counts(context) {
    const scope = { teamIds: teamIds(context) }
    const { terminal, isJson } = context
    return async (jobs) => {
      const counts = await jobs.counts(scope)
      if (isJson) terminal.out(json(counts))
      else terminal.out(counts.length === 0 ? 'There are no jobs.\n' : countTable(terminal, counts))
      return 0
    }
  },
  show(context, words) {
    const [id, ...more] = idsOf(words, 'show')
    if (id === undefined || more.length > 0) throw new UsageError('jobs show takes one id.')
    const { terminal, isJson } = context
    const scope = { teamIds: teamIds(context) }
    return async (jobs) => {
      const job = await jobs.find(id, scope)
      if (job === undefined) {
        terminal.err(`There is no job ${id}.\n`)
        return 3
      }
      terminal.out(isJson ? json(jobJson(job)) : describeJob(job))
      return 0
    }
  },
  retry(context, words) {
    const ids = idsOf(words, 'retry')
    const scope = { teamIds: teamIds(context) }
    return async (jobs) => {
      const retried = await jobs.retry(ids, scope)
      return await report(context, { jobs, ids, done: new Map(retried.map((id) => [id, 'available'])) })
    }
  },
  cancel(context, words) {
    const ids = idsOf(words, 'cancel')
    const scope = { teamIds: teamIds(context) }
    return async (jobs) => {
      const canceled = await jobs.cancel(ids, scope)
      const done = new Map(
        canceled.map(({ id, status }) => [id, status === 'running' ? 'asked to stop' : status]),
      )
      return await report(context, { jobs, ids, done })
    }
  },
  drain(context, words) {
    const [queue, ...more] = words
    const { terminal, isJson, options } = context
    if (more.length > 0) throw new UsageError('jobs drain takes one queue.')
    if ((queue === undefined) !== (options.all === true))
      throw new UsageError('jobs drain needs either a queue or --all.')
    const isDiscarding = options.discard === true
    const choice = {
      ...(queue === undefined ? {} : { queue }),
      teamIds: teamIds(context),
      limit: countOf(context, { otherwise: drainedMax, max: drainedMax }),
      isDiscarding,
    }
    return async (jobs) => {
      const drained = await jobs.drain(choice)
      if (isJson) terminal.out(json({ drained, discarded: isDiscarding }))
      else terminal.out(`${isDiscarding ? 'Deleted' : 'Put back'} ${drained} dead letters.\n`)
      return 0
    }
  },
}

/** What became of each id; 3 when something was left as it is. */
async function report(
  { terminal, isJson }: CommandContext,
  { jobs, ids, done }: { jobs: Jobs; ids: readonly string[]; done: ReadonlyMap<string, string> },
): Promise<ExitCode> {
  const left: { id: string; status: JobEntry['status'] | null }[] = []
  for (const id of ids) if (!done.has(id)) left.push({ id, status: (await jobs.find(id))?.status ?? null })
  if (isJson) terminal.out(json({ done: [...done].map(([id, status]) => ({ id, status })), left }))
  else for (const [id, status] of done) terminal.out(`${id}  ${status}\n`)
  for (const { id, status } of left)
    terminal.err(status === null ? `There is no job ${id}.\n` : `${id} is ${status}: left as it is.\n`)
  return left.length > 0 ? 3 : 0
}

function idsOf(words: readonly string[], action: string): string[] {
  if (words.length === 0) throw new UsageError(`jobs ${action} needs an id; "rowmill jobs list" shows them.`)
  const ids = words.map((word) => word.toLowerCase())
  const bad = ids.find((id) => !isUuid(id))
  if (bad !== undefined) throw new UsageError(`${JSON.stringify(bad)} is no id of a job.`)
  return [...new Set(ids)]
}

function textOf({ options }: CommandContext, name: string): string | undefined {
  const text = options[name]
  return typeof text === 'string' ? text : undefined
}

function statusOf(context: CommandContext): JobStatus | 'dead_letter' | undefined {
  const text = textOf(context, 'status')
  if (text === undefined || text === 'dead_letter') return text
  const status = jobStatuses.find((known) => known === text)
  if (status === undefined)
    throw new UsageError(`--status is ${jobStatuses.join(', ')} or dead_letter, not ${JSON.stringify(text)}.`)
  return status
}

function teamIds(context: CommandContext): number[] | undefined {
  const text = textOf(context, 'project')
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`--project takes a number, not ${JSON.stringify(text)}.`)
  return [Number(text)]
}

function countOf(context: CommandContext, { otherwise, max }: { otherwise: number; max: number }): number {
  const text = textOf(context, 'limit')
  if (text === undefined) return otherwise
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > max)
    throw new UsageError(`--limit takes a number from 1 to ${max}, not ${JSON.stringify(text)}.`)
  return count
}
