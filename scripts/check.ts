/** `npm run check`: format, lint, types, tidy, docs and the tests that start no engine. Under a minute. */
import { runSteps } from './run-steps.ts'
import { runTests } from './run-tests.ts'
import { stopSignal } from './stop-signal.ts'
import { quickTests } from './test-files.ts'

const arePassed = await runSteps([
  { name: 'format and lint', command: 'biome', arguments: ['ci', '--error-on-warnings'] },
  { name: 'types', command: 'tsc', arguments: ['--noEmit'] },
])
if (arePassed) {
  process.stdout.write('\n== tests without engines\n')
  await runTests(quickTests(), { concurrency: 2, signal: stopSignal() })
}
