/** Rules about one file at a time: sizes, words, names. Every rule is a function of sources and answers sentences. */
import type { SourceFile } from './source.ts'

export const limits = {
  fileLinesMax: 400,
  functionLinesMax: 70,
  parametersMax: 3,
  folderFilesMax: 15,
}

/** Tests may be long, may wait and may use what the product may not. */
export function isProduct({ path }: SourceFile): boolean {
  return path.startsWith('src/') && !/\.(test|contract)\.ts$/.test(path)
}

export function longFiles(sources: readonly SourceFile[]): string[] {
  return sources
    .filter((source) => isProduct(source) && source.lines.length > limits.fileLinesMax)
    .map((source) => `${source.path}: ${source.lines.length} lines, split it by concept`)
}

export function longFunctions(sources: readonly SourceFile[]): string[] {
  return functionsOver(sources, (fn) =>
    fn.lines > limits.functionLinesMax ? `has ${fn.lines} lines, let it call its parts` : undefined,
  )
}

export function manyParameters(sources: readonly SourceFile[]): string[] {
  return functionsOver(sources, (fn) =>
    fn.parameters > limits.parametersMax
      ? `takes ${fn.parameters} positional parameters, give it one options object`
      : undefined,
  )
}

function functionsOver(
  sources: readonly SourceFile[],
  judge: (fn: SourceFile['functions'][number]) => string | undefined,
): string[] {
  return sources.filter(isProduct).flatMap((source) =>
    source.functions.flatMap((fn) => {
      const problem = judge(fn)
      return problem === undefined ? [] : [`${source.path}:${fn.line} ${fn.name} ${problem}`]
    }),
  )
}

export function fullFolders(sources: readonly SourceFile[]): string[] {
  const folders = Map.groupBy(sources.filter(isProduct), ({ path }) => path.slice(0, path.lastIndexOf('/')))
  return [...folders]
    .filter(([, files]) => files.length > limits.folderFilesMax)
    .map(([folder, files]) => `${folder}: ${files.length} files, make folders by concept`)
}

/** A word, what to use instead, and the files in which it is at home. */
type BannedWord = { word: RegExp; use: string; home?: RegExp }

const bannedInCode: readonly BannedWord[] = [
  {
    word: /\bDate\.now\(\)|\bnew Date\(\)/,
    use: 'the Clock port',
    home: /^src\/(adapters\/embedded\/clock\.ts|adapters\/embedded\/chdb\/host|cli\/)/,
  },
  { word: /\bMath\.random\b/, use: 'the Random port', home: /^src\/adapters\/embedded\/random\.ts/ },
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
  { word: /\bas any\b|: any\b|<any\b|\bany>|\bany\[\]/, use: 'unknown and a check' },
  { word: /\bas unknown as\b/, use: 'a check, or a type that holds' },
  { word: /[\w)\]]!(?=[.,;)\][]|$)/, use: 'a check: ! is a promise that nobody keeps' },
  { word: /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s/, use: 'a union of literals' },
  { word: /^\s*(export\s+)?(declare\s+)?namespace\s/, use: 'a module' },
]

const bannedInComments: readonly BannedWord[] = [
  { word: /\b(TODO|FIXME|XXX|HACK)\b/, use: 'an issue, or do it now' },
  { word: /@ts-(ignore|nocheck|expect-error)/, use: 'a type that holds' },
]

/** Banned words in the product's code; those in strings, regular expressions and comments are not meant. */
export function bannedWords(sources: readonly SourceFile[]): string[] {
  return sources
    .filter(isProduct)
    .flatMap((source) =>
      source.code.flatMap((line, index) =>
        bannedInCode
          .filter(({ word, home }) => word.test(line) && home?.test(source.path) !== true)
          .map(({ word, use }) => `${source.path}:${index + 1} ${String(word)}: use ${use}`),
      ),
    )
}

/** Banned words in comments, of tests as well. */
export function bannedComments(sources: readonly SourceFile[]): string[] {
  return sources.flatMap((source) =>
    source.comments.flatMap((comment) =>
      bannedInComments
        .filter(({ word }) => word.test(comment.text))
        .map(({ word, use }) => `${source.path}:${comment.line} ${String(word)}: use ${use}`),
    ),
  )
}

/** Imports that Node cannot run as they stand: relative ones end in .ts. */
export function wrongEndings(sources: readonly SourceFile[]): string[] {
  return sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ target, isRelative }) => isRelative && !/\.(ts|json)$/.test(target))
      .map(({ target }) => `${path} imports ${target}: name the file with its ending .ts`),
  )
}

export function wrongNames(sources: readonly SourceFile[]): string[] {
  return sources.filter(isProduct).flatMap((source) => {
    const name = source.path.slice(source.path.lastIndexOf('/') + 1)
    const problems: string[] = []
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)?\.ts$/.test(name))
      problems.push(`${source.path}: file names are kebab-case`)
    const isDrawer = /(^|-)(utils?|helpers?|common|misc|index)\.ts$/.test(name)
    const isWideTypes = name === 'types.ts' && source.path.split('/').length <= 3
    if (isDrawer || isWideTypes) problems.push(`${source.path}: name the concept`)
    for (const [, start, suffix] of source.code
      .join('\n')
      .matchAll(
        /^export (?:abstract )?(?:class|interface|type|(?:async )?function) (\w+?)(Manager|Service|Helper|Util|Wrapper|V2)\b/gm,
      ))
      problems.push(`${source.path}: ${start}${suffix} carries a forbidden suffix`)
    return problems
  })
}
