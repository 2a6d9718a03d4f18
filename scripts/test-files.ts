import { globSync, readFileSync } from 'node:fs'

/** Every test file, in a fixed order. */
export function allTests(): string[] {
  return globSync('{src,test}/**/*.test.ts').sort()
}

/** Tests that start no engine and no process: those that import nothing that does. */
export function quickTests(): string[] {
  const startsSomething = /support\/(database|warehouse|rowmill|chromium)|child_process|openManaged|openTest/
  return allTests().filter((path) => !startsSomething.test(readFileSync(path, 'utf8')))
}
