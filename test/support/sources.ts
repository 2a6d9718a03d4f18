/** The repository's own TypeScript files, read as the tidy rules see them. */
import { globSync, readFileSync } from 'node:fs'
import { createSource, type SourceFile } from './tidy/source.ts'

const root = new URL('../../', import.meta.url)

export function readSources(): SourceFile[] {
  return globSync('{src,test,scripts,bench}/**/*.ts', { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((path) => createSource(path, readFileSync(new URL(path, root), 'utf8')))
}
