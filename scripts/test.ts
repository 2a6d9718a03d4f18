/**
 * `npm test`: every test that needs nothing but what `npm ci` installs. Arguments narrow it to files whose
 * path contains one of them.
 */

import { runSteps } from './run-steps.ts'
import { allTests } from './test-files.ts'

const wanted = process.argv.slice(2)
const files = allTests().filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
if (files.length === 0) {
  process.stderr.write(`No test file matches ${wanted.join(', ')}.\n`)
  process.exitCode = 1
} else {
  process.stdout.write(`node ${process.version}, ${files.length} files\n`)
  await runSteps([
    {
      name: 'tests',
      command: 'node',
      arguments: ['--test', '--test-concurrency=2', '--test-reporter=spec', ...files],
    },
  ])
}
