/**
 * Style is a test: what a reviewer would say twice stands here, with the replacement in the message.
 * There is no list of exceptions.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findCycle, layerViolations, readSources, unreachable } from './support/sources.ts'

const sources = readSources()
const isTest = (path: string) => /\.(test|contract)\.ts$/.test(path) || !path.startsWith('src/')
const product = sources.filter((source) => !isTest(source.path))

const limits = { fileLinesMax: 400, functionLinesMax: 70, folderFilesMax: 15 }

/** A word, what to use instead, and the files in which it is at home. */
const bannedWords: readonly { word: RegExp; use: string; home?: RegExp }[] = [
  {
    word: /\bDate\.now\(\)|\bnew Date\(\)/,
    use: 'the Clock port',
    home: /^src\/(adapters\/embedded\/clock\.ts|adapters\/embedded\/chdb\/host|cli\/)/,
  },
  { word: /\bMath\.random\(\)/, use: 'the Random port', home: /^src\/adapters\/embedded\/random\.ts/ },
  {
    word: /\bsetTimeout\(|\bsetInterval\(/,
    use: 'Clock.sleep',
    home: /^src\/(adapters\/embedded\/|supervise\/|http\/|main\.ts|cli\/)/,
  },
  { word: /\bprocess\.env\b/, use: 'the parsed config', home: /^src\/main\.ts/ },
  {
    word: /\bprocess\.exit\(/,
    use: 'process.exitCode, and release what is open',
    home: /^src\/main\.ts|^src\/adapters\/embedded\/chdb\/host/,
  },
  { word: /\bconsole\./, use: 'the logger' },
  { word: /\b(TODO|FIXME|XXX|HACK)\b/, use: 'an issue, or do it now' },
  { word: /\bas any\b|: any\b|<any>/, use: 'unknown and a check' },
  { word: /@ts-(ignore|nocheck|expect-error)/, use: 'a type that holds' },
  { word: /\bimport\([^)]*['"]\.\.?\/[^)]*\.(js|mjs)['"]/, use: 'an import ending in .ts' },
]

test('no source file is longer than its limit', () => {
  const long = product.filter((source) => source.lines.length > limits.fileLinesMax)
  assert.deepEqual(
    long.map((source) => `${source.path}: ${source.lines.length} lines, split it by concept`),
    [],
  )
})

test('no function is longer than its limit', () => {
  const long = product.flatMap((source) =>
    source.functions
      .filter((fn) => fn.lines > limits.functionLinesMax)
      .map((fn) => `${source.path}:${fn.line} ${fn.name} has ${fn.lines} lines, let it call its parts`),
  )
  assert.deepEqual(long, [])
})

test('no folder of sources holds more files than its limit', () => {
  const counts = new Map<string, number>()
  for (const { path } of product) {
    const folder = path.slice(0, path.lastIndexOf('/'))
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  const full = [...counts].filter(([, count]) => count > limits.folderFilesMax)
  assert.deepEqual(
    full.map(([folder, count]) => `${folder}: ${count} files, make folders by concept`),
    [],
  )
})

test('imports point down the layers and siblings never meet', () => {
  assert.deepEqual(layerViolations(sources.filter((source) => source.path.startsWith('src/'))), [])
})

test('there is no cycle of value imports', () => {
  assert.equal(findCycle(sources), undefined)
})

test('no banned word is used', () => {
  const found = product.flatMap((source) =>
    source.code.flatMap((line, index) =>
      bannedWords
        .filter(({ word, home }) => word.test(line) && home?.test(source.path) !== true)
        .map(({ word, use }) => `${source.path}:${index + 1} ${String(word)}: use ${use}`),
    ),
  )
  assert.deepEqual(found, [])
})

test('no file in the repository promises work for later', () => {
  const found = sources
    .filter((source) => source.path !== 'test/tidy.test.ts')
    .flatMap((source) =>
      source.lines.flatMap((line, index) =>
        /\b(TODO|FIXME)\b/.test(line) ? [`${source.path}:${index + 1}`] : [],
      ),
    )
  assert.deepEqual(found, [])
})

test('names follow the conventions', () => {
  const wrong = product.flatMap((source) => {
    const name = source.path.slice(source.path.lastIndexOf('/') + 1)
    const problems: string[] = []
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)?\.ts$/.test(name))
      problems.push(`${source.path}: file names are kebab-case`)
    if (name === 'index.ts' || (name === 'types.ts' && source.path.split('/').length <= 3))
      problems.push(`${source.path}: name the concept`)
    if (/(^|-)(util|utils|helpers?|common|misc)\.ts$/.test(name))
      problems.push(`${source.path}: name the concept`)
    for (const match of source.text.matchAll(
      /^export (?:class|interface|type|function) ([A-Za-z]+?)(Manager|Service|Helper|Util|Processor|Wrapper|V2)\b/gm,
    ))
      problems.push(`${source.path}: ${match[1]}${match[2]} carries a forbidden suffix`)
    return problems
  })
  assert.deepEqual(wrong, [])
})

test('every source file is reached from the program or is part of its public surface', () => {
  assert.deepEqual(unreachable(sources), [])
})
