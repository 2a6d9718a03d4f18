/** A reporter of `node:test` that writes one JSON line per event that `run-tests.ts` needs. */
import type { TestEvent } from 'node:test/reporters'

export type TestLine = {
  kind: 'begin' | 'end' | 'pass' | 'fail' | 'skip' | 'note'
  name: string
  reason?: string
}

export default async function* writeTestLines(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const line = lineOf(event)
    if (line !== undefined) yield `${JSON.stringify(line)}\n`
  }
}

/** What `node:test` itself notes at the end of a file. */
const ownSummary = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

/** Begins and ends come at once, results in the order of the file. A suite is no test, except one that is skipped whole. */
function lineOf(event: TestEvent): TestLine | undefined {
  if (event.type === 'test:diagnostic' && !ownSummary.test(event.data.message))
    return { kind: 'note', name: event.data.message }
  if (event.type === 'test:dequeue') return { kind: 'begin', name: event.data.name }
  if (event.type === 'test:complete') return { kind: 'end', name: event.data.name }
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return undefined
  const { name, skip, todo, details } = event.data
  const reason = [skip, todo].find((value) => value !== undefined && value !== false)
  if (reason !== undefined) return { kind: 'skip', name, reason: String(reason) }
  if (details.type === 'suite' && event.type === 'test:pass') return undefined
  return { kind: event.type === 'test:pass' ? 'pass' : 'fail', name }
}
