import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { referencePages } from '../scripts/reference-pages.ts'
import { commands } from '../src/cli/commands.ts'
import { liveOptionRegister } from '../src/datasets/options/live-options.ts'
import { configSchema } from '../src/platform/config/config.ts'
import { settingsOf } from '../src/platform/config/settings.ts'
import { readPages, withoutCode } from './support/pages.ts'

const root = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const pages = readPages()

for (const [path, text] of Object.entries(referencePages())) {
  test(`${path} says what the program says`, () => {
    assert.equal(read(path), text, 'run "npm run docs"')
  })
}

test('every link between pages leads somewhere', () => {
  const broken = pages.flatMap(({ path, links }) =>
    links.filter((target) => !existsSync(new URL(target, root))).map((target) => `${path}: ${target}`),
  )
  assert.deepEqual(broken, [])
})

test('every page can be reached from the README', () => {
  const reached = new Set<string>()
  const open = ['README.md']
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (reached.has(path)) continue
    reached.add(path)
    open.push(...(pages.find((page) => page.path === path)?.links ?? []))
  }
  const lost = pages.map(({ path }) => path).filter((path) => !reached.has(path) && path !== 'CHANGELOG.md')
  assert.deepEqual(lost, [], 'link them from docs/README.md')
})

test('every page has exactly one title, on its first line of text', () => {
  const wrong = pages.filter(({ text }) => {
    const lines = text
      .replaceAll(/```[\s\S]*?```/g, '')
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('<!--'))
    return lines.filter((line) => /^# /.test(line)).length !== 1 || !/^# /.test(lines[0] ?? '')
  })
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  )
})

/** Words that promise without saying anything, and the longest sentence that can be read at once. */
const emptyWords =
  /\b(simply|easily|seamless(ly)?|blazing(ly)?|robust|leverag\w+|utili[sz]e\w*|state-of-the-art|world-class|cutting-edge|please note)\b/i
const sentenceWordsMax = 45

test('pages speak plainly', () => {
  const problems = pages.flatMap(({ path, text }) => {
    const prose = withoutCode(text)
    const word = emptyWords.exec(prose)?.[0]
    const paragraphs = prose
      .split(/\n\s*\n|\n(?=\s*(?:[-*|#>]|\d+\.))/)
      .filter((part) => !part.trim().startsWith('|'))
    const long = paragraphs
      .flatMap((part) => part.split(/[.!?:;](?:\s|$)/))
      .filter((sentence) => sentence.split(/\s+/).filter((part) => part !== '').length > sentenceWordsMax)
    return [
      ...(word === undefined ? [] : [`${path}: say what is meant instead of "${word}"`]),
      ...(/\p{Extended_Pictographic}/u.test(prose) ? [`${path}: no emoji`] : []),
      ...long.map((sentence) => `${path}: part this sentence: ${sentence.trim().slice(0, 80)}…`),
    ]
  })
  assert.deepEqual(problems, [])
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
  const missing = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\bnpm run ([\w:-]+)/g)]
      .map(([, name = '']) => name)
      .filter((name) => scripts[name] === undefined)
      .map((name) => `${path}: ${name}`),
  )
  assert.deepEqual(missing, [])
})

test('every command that a page names exists', () => {
  const known = new Set(commands.map(({ name }) => name))
  const missing = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\b(?:npx|`)\s?rowmill ([a-z]+)/g)]
      .map(([, name = '']) => name)
      .filter((name) => !known.has(name))
      .map((name) => `${path}: ${name}`),
  )
  assert.deepEqual(missing, [])
})

test('every setting that a page names exists', () => {
  const settings = settingsOf(configSchema).map(({ path }) => path.join('.'))
  const known = new Set([...settings, ...Object.keys(liveOptionRegister)])
  const folders = new Set([...known].map((path) => path.split('.')[0]))
  const missing = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/`([a-z]\w*(?:\.[a-z]\w*)+)`/g)]
      .map(([, name = '']) => name)
      .filter((name) => folders.has(name.split('.')[0]) && !/\.(ts|js|md|json|sql)$/.test(name))
      .filter((name) => !known.has(name))
      .map((name) => `${path}: ${name}`),
  )
  assert.deepEqual(missing, [])
})
