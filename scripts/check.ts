/** `npm run check`: format, lint, types, tidy, docs and the unit tests that touch no engine. Under a minute. */
import { runSteps } from './run-steps.ts'

await runSteps([
  { name: 'format and lint', command: 'biome', arguments: ['ci', '--error-on-warnings'] },
  { name: 'types', command: 'tsc', arguments: ['--noEmit'] },
  {
    name: 'tests without engines',
    command: 'node',
    arguments: ['--test', '--test-reporter=dot', ...(await import('./test-files.ts')).quickTests()],
  },
])
