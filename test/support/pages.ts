/** The pages of the documentation, and what in them can be checked. */
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

const root = new URL('../../', import.meta.url)

export type Page = { path: string; text: string; links: string[] }

export function readPages(): Page[] {
  return globSync('{*.md,docs/**/*.md}', { cwd: root })
    .sort()
    .map((path) => {
      const text = readFileSync(new URL(path, root), 'utf8')
      const links = [...withoutCode(text).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      return { path, text, links: links.map(([, target = '']) => posix.join(posix.dirname(path), target)) }
    })
}

/** A page's prose: without fenced and indented code and without words of code. */
export function withoutCode(text: string): string {
  return text
    .replaceAll(/```[\s\S]*?```/g, '')
    .replaceAll(/^ {4}.*$/gm, '')
    .replaceAll(/`[^`\n]*`/g, '')
}

/** Shell snippets with a line `<!-- test: name -->` before them. */
export function runnableSnippets(): { page: string; name: string; script: string }[] {
  return readPages().flatMap(({ path, text }) =>
    [...text.matchAll(/<!-- test: (.+?) -->\n```sh\n([\s\S]*?)```/g)].map(([, name = '', script = '']) => ({
      page: path,
      name,
      script,
    })),
  )
}
