/**
 * `npm test`: every test that needs nothing but what `npm ci` installs. Arguments narrow it to files whose
 * path contains one of them: `npm test -- persons`. The engines are started once for the whole run.
 */
import { availableParallelism } from 'node:os'
import { runTests } from './run-tests.ts'
import { stopSignal } from './stop-signal.ts'
import { openTestEngines } from './test-engines.ts'
import { allTests, testsThatReach } from './test-files.ts'

const parts = process.argv.slice(2)
const files = allTests().filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
if (files.length === 0) {
  process.stderr.write(`No test file matches ${parts.join(', ')}.\n`)
  process.exitCode = 1
} else {
  const signal = stopSignal()
  const isWanted = (support: string): boolean =>
    testsThatReach([support]).some((path) => files.includes(path))
  await using engines = await openTestEngines({
    database: isWanted('test/support/database.ts'),
    warehouse: isWanted('test/support/warehouse.ts'),
  })
  process.stdout.write(`node ${process.version}, ${files.length} files\n`)
  const concurrency = Math.max(2, Math.min(4, availableParallelism()))
  await runTests(files, { concurrency, environment: engines.environment, signal })
}
