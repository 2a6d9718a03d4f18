/**
 * `npm test`: every test that needs nothing but what `npm ci` installs. `npm run test:engines`: those on Kafka,
 * PostgreSQL, Redis, S3 and several ClickHouse hosts; what is not found on the machine is skipped, loudly.
 * Arguments narrow it to files whose path contains one of them: `npm test -- persons`. The engines that many
 * files use are started once for the whole run.
 */
import { availableParallelism } from 'node:os'
import { outsideEngines } from './outside-engines.ts'
import { runTests } from './run-tests.ts'
import { stopSignal } from './stop-signal.ts'
import { openTestEngines } from './test-engines.ts'
import { allTests, outsideTests, testsThatReach } from './test-files.ts'

const isOutside = process.argv[2] === '--engines'
const parts = process.argv.slice(isOutside ? 3 : 2)
const files = (isOutside ? outsideTests() : allTests()).filter(
  (path) => parts.length === 0 || parts.some((part) => path.includes(part)),
)
if (files.length === 0) {
  process.stderr.write(`No test file matches ${parts.join(', ')}.\n`)
  process.exitCode = 1
} else {
  const signal = stopSignal()
  const isWanted = (support: string): boolean => testsThatReach(files, support).length > 0
  await using engines = await openTestEngines({
    database: isWanted('test/support/database.ts'),
    warehouse: isWanted('test/support/warehouse.ts'),
  })
  await using outside = await outsideEngines(isWanted)
  process.stdout.write(`node ${process.version}, ${files.length} files\n`)
  const concurrency = Math.max(2, Math.min(4, availableParallelism()))
  const environment = { ...engines.environment, ...outside.environment }
  await runTests(files, { concurrency, environment, signal })
}
