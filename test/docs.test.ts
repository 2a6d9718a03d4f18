import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { referencePages } from '../scripts/reference-pages.ts'

const root = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const pages = globSync('{*.md,docs/**/*.md}', { cwd: root }).sort()

for (const [path, text] of Object.entries(referencePages())) {
  test(`${path} says what the program says`, () => {
    assert.equal(read(path), text, 'run "npm run docs"')
  })
}

test('every link between pages leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .map(([, target = '']) => join(dirname(page), target))
      .filter((target) => globSync(target, { cwd: root }).length === 0)
      .map((target) => `${page}: ${target}`),
  )
  assert.deepEqual(broken, [])
})

test('every page has exactly one title, on its first line of text', () => {
  const wrong = pages.filter((page) => {
    const lines = withoutCode(read(page))
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('<!--'))
    return lines.filter((line) => /^# /.test(line)).length !== 1 || !/^# /.test(lines[0] ?? '')
  })
  assert.deepEqual(wrong, [])
})

test('every dependency has a line that says why', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<
    string,
    Record<string, string>
  >
  const listed = read('docs/dependencies.md')
  const names = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
  const covered = (name: string): boolean =>
    listed.includes(`\`${name}\``) || listed.includes(`\`${name.split('/')[0]}/*\``)
  assert.deepEqual(
    names.filter((name) => !covered(name)),
    [],
  )
})

test('every dependency is pinned to an exact version', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<
    string,
    Record<string, string>
  >
  const loose = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }).filter(
    ([, version]) => !/^\d/.test(version),
  )
  assert.deepEqual(loose, [])
})

test('every npm script that a page names exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const missing = pages.flatMap((page) =>
    [...read(page).matchAll(/\bnpm run ([\w:-]+)/g)]
      .map(([, name = '']) => name)
      .filter((name) => scripts[name] === undefined),
  )
  assert.deepEqual(missing, [])
})

function withoutCode(text: string): string {
  return text.replaceAll(/```[\s\S]*?```/g, '')
}
