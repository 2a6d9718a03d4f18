import { type AuditReport, audit } from '../../api/audit/audit.ts'
import { isRetryable } from '../../errors/rowmill-error.ts'
import { joinEngines } from '../../platform/join.ts'
import { type Command, type Terminal, UsageError } from '../command.ts'
import { clean, colour, json, table } from '../output.ts'

export const auditCommand: Command = {
  name: 'audit',
  summary: 'Prove that every captured event became a row or has a written reason.',
  usage: 'audit [--wait <seconds>]',
  options: {
    wait: {
      kind: 'text',
      placeholder: 'seconds',
      description: 'Wait this long until nothing is on its way any more (default 10).',
    },
  },
  async run({ config, options, terminal, isJson, signal }) {
    const waitMs = 1000 * (typeof options.wait === 'string' ? Number(options.wait) : 10)
    if (!(waitMs >= 0)) throw new UsageError('--wait takes seconds.')
    await using engines = await joinEngines(config().config)
    const report = await auditSettled(engines, { waitMs, signal })
    terminal.out(isJson ? json(report) : describeAudit(terminal, report))
    return report.isBalanced && report.isSettled ? 0 : 3
  },
}

type Engines = Awaited<ReturnType<typeof joinEngines>>

/**
 * Audits again until nothing waits or the time is up. An engine that cannot answer yet is asked again: a log on Kafka
 * does not tell a position while a transaction of it is open.
 */
export async function auditSettled(
  engines: Engines,
  options: { waitMs: number; signal: AbortSignal },
): Promise<AuditReport> {
  const deadline = engines.clock.monotonic() + options.waitMs
  for (;;) {
    const isOver = () => options.signal.aborted || engines.clock.monotonic() >= deadline
    try {
      const report = await audit(engines, engines.log)
      if ((report.isSettled && report.isBalanced) || isOver()) return report
    } catch (error) {
      if (!isRetryable(error) || isOver()) throw error
    }
    await engines.clock.sleep(200, { signal: options.signal })
  }
}

export function describeAudit(terminal: Terminal, report: AuditReport): string {
  const dropped = Object.values(report.drops).reduce((sum, count) => sum + count, 0)
  const verdict = report.isBalanced
    ? report.isSettled
      ? colour(terminal, 'green', 'Balanced: every captured event is a row or has a written reason.')
      : colour(terminal, 'yellow', 'Balanced so far: some records are still on their way.')
    : colour(terminal, 'red', 'Not balanced.')
  const lines = [
    table(terminal, report.stages, [
      { title: 'stage', value: ({ stage }) => stage },
      { title: 'topic', value: ({ topic, partition }) => `${topic}/${partition}` },
      { title: 'in', value: ({ in: received }) => String(received), isNumber: true },
      { title: 'out', value: ({ out }) => String(out), isNumber: true },
      { title: 'dropped', value: (sum) => String(sum.dropped), isNumber: true },
      { title: 'diverted', value: (sum) => String(sum.diverted), isNumber: true },
      { title: 'dead letters', value: (sum) => String(sum.deadLettered), isNumber: true },
      { title: 'waiting', value: (sum) => String(sum.end - sum.position), isNumber: true },
    ]),
    `\n${report.captured} records captured, ${report.rows} rows of events, ${dropped} written reasons\n`,
    ...Object.entries(report.drops).map(([reason, count]) => `  ${clean(reason)}: ${count}\n`),
    ...report.waiting.map(
      ({ stage, topic, records }) => `${records} records of ${topic} wait for ${stage}.\n`,
    ),
    ...report.problems.map((problem) => `${colour(terminal, 'red', 'problem')} ${problem}\n`),
    `${verdict}\n`,
  ]
  return lines.join('')
}
