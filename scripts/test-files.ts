/** Which test files there are, and which of them start something. */
import { readSources } from '../test/support/sources.ts'
import { reachedFrom } from '../test/support/tidy/graph.ts'
import type { SourceFile } from '../test/support/tidy/source.ts'

const sources = readSources()

/** Every test that needs nothing but what is installed with Rowmill. */
export function allTests(): string[] {
  return testsWhere((path) => !isOutside(path) && !isChaos(path))
}

/** Tests on engines that somebody else installs. */
export function outsideTests(): string[] {
  return testsWhere(isOutside)
}

/** Those that take long come first, so that no core is idle while the last one runs. */
function testsWhere(isWanted: (path: string) => boolean): string[] {
  const paths = sources.map(({ path }) => path).filter((path) => path.endsWith('.test.ts') && isWanted(path))
  const isLong = (path: string): boolean => /^test\/(crash|system|engines\/(fleet|kafka))\//.test(path)
  return [...paths.filter(isLong), ...paths.filter((path) => !isLong(path))]
}

/** Those of `tests` that import `target` or a file of the tests that does; the product's own imports do not count. */
export function testsThatReach(tests: readonly string[], target: string): string[] {
  return tests.filter((path) => reachedByTest(path).has(target))
}

/** Tests that start no engine, no browser and no process. */
export function quickTests(): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  return allTests().filter((path) =>
    [...reachedByTest(path)].every((file) => {
      const source = byPath.get(file)
      return source === undefined || !isTestCode(file) || !startsSomething(source)
    }),
  )
}

/** Runs only where it is asked for by name: `npm run test:chaos`. */
function isChaos(path: string): boolean {
  return path.startsWith('test/chaos/')
}

function isOutside(path: string): boolean {
  return path.startsWith('test/engines/')
}

function reachedByTest(path: string): Set<string> {
  return reachedFrom(sources, [path], isTestCode)
}

function isTestCode(path: string): boolean {
  return /^(test|bench|scripts)\//.test(path) || /\.(test|contract)\.ts$/.test(path)
}

function startsSomething({ imports }: SourceFile): boolean {
  return imports.some(({ target, isTypeOnly }) => {
    if (isTypeOnly) return false
    const isStarter = /^(node:child_process|playwright-core|node:worker_threads)$/.test(target)
    return isStarter || /\/(managed-\w+|serve|supervise)\.ts$/.test(target)
  })
}
