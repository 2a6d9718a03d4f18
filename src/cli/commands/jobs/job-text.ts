/** Jobs as tables and lines for people, and as JSON for programs. */
import type { Job, JobEntry } from '../../../jobs/job.ts'
import type { Jobs } from '../../../jobs/jobs.ts'
import type { Terminal } from '../../command.ts'
import { clean, table } from '../../output.ts'

type Count = Awaited<ReturnType<Jobs['counts']>>[number]

const shownMax = 20_000

/** Times as ISO-8601, a blob as base64. */
export function jobJson(job: JobEntry | Job): Record<string, unknown> {
  const { scheduledMs, createdMs, lastTransitionMs, lastHeartbeatMs, errors, ...rest } = job
  return {
    ...rest,
    scheduled: isoTime(scheduledMs),
    created: isoTime(createdMs),
    lastTransition: isoTime(lastTransitionMs),
    lastHeartbeat: lastHeartbeatMs === null ? null : isoTime(lastHeartbeatMs),
    errors: errors.map(({ atMs, ...error }) => ({ ...error, at: isoTime(atMs) })),
    ...('blob' in job ? { blob: job.blob?.toString('base64') ?? null } : {}),
  }
}

export function jobTable(terminal: Terminal, jobs: readonly JobEntry[]): string {
  return table(terminal, jobs, [
    { title: 'id', value: ({ id }) => id },
    { title: 'queue', value: ({ queue }) => queue },
    { title: 'status', value: ({ status, reason }) => (reason === null ? status : `${status} (${reason})`) },
    { title: 'project', value: ({ teamId }) => String(teamId), isNumber: true },
    { title: 'attempt', value: ({ attempt, attemptsMax }) => `${attempt}/${attemptsMax}`, isNumber: true },
    { title: 'scheduled', value: ({ scheduledMs }) => isoTime(scheduledMs).slice(0, 19) },
    { title: 'last error', value: ({ errors }) => clean(errors.at(-1)?.message ?? '') },
  ])
}

export function countTable(terminal: Terminal, counts: readonly Count[]): string {
  return table(terminal, counts, [
    { title: 'queue', value: ({ queue }) => queue },
    { title: 'status', value: ({ status }) => status },
    { title: 'jobs', value: ({ count }) => String(count), isNumber: true },
    { title: 'oldest', value: ({ oldestMs }) => (oldestMs === null ? '' : isoTime(oldestMs).slice(0, 19)) },
  ])
}

export function describeJob(job: Job): string {
  const facts: [string, string | null][] = [
    ['id', job.id],
    ['queue', job.queue],
    ['status', job.isCancelRequested && job.status === 'running' ? 'running, asked to stop' : job.status],
    ['reason', job.reason],
    ['project', String(job.teamId)],
    ['function', job.functionId],
    ['distinct id', job.distinctId],
    ['person', job.personId],
    ['action', job.actionId],
    ['parent run', job.parentRunId],
    ['unique key', job.uniqueKey],
    ['priority', String(job.priority)],
    ['scheduled', isoTime(job.scheduledMs)],
    ['created', isoTime(job.createdMs)],
    ['changed', isoTime(job.lastTransitionMs)],
    ['heartbeat', job.lastHeartbeatMs === null ? null : isoTime(job.lastHeartbeatMs)],
    ['worker', job.worker],
    ['attempt', `${job.attempt} of ${job.attemptsMax}`],
    ['transitions', String(job.transitions)],
    ['stalled', job.touches === 0 ? null : `${job.touches} times`],
    ['parameters', jsonText(job.parameters)],
    ['metadata', jsonText(job.metadata)],
    ['state', jsonText(job.state)],
    ['blob', job.blob === null ? null : `${job.blob.length} bytes`],
  ]
  const errors = job.errors.map(
    ({ attempt, atMs, kind, type, message, worker }) =>
      `error        ${isoTime(atMs)} attempt ${attempt} (${kind}) on ${clean(worker)}: ${clean(type)}: ${clean(message)}`,
  )
  const lines = facts.flatMap(([name, value]) =>
    value === null ? [] : [`${name.padEnd(12)} ${clean(value)}`],
  )
  return `${[...lines, ...errors].join('\n')}\n`
}

function jsonText(value: unknown): string | null {
  if (value === null || value === undefined) return null
  const text = JSON.stringify(value)
  return text.length > shownMax ? `${text.slice(0, shownMax)} … (--json prints all)` : text
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
