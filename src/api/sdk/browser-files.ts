/**
 * `/static/<file>.js` and `/array/<token>/array.js`: posthog-js's own browser files, so that PostHog's HTML
 * snippet and its lazily loaded parts (the session recorder among them) work with Rowmill as `api_host`. They
 * come from the installed `posthog-js` package and are never changed; array.js has the project's config before it.
 */
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export interface BrowserFiles {
  /** A file of the package by its bare name; undefined if there is none. */
  read(name: string): Promise<Buffer> | undefined
}

export function openBrowserFiles(): BrowserFiles {
  const folder = join(dirname(createRequire(import.meta.url).resolve('posthog-js/package.json')), 'dist')
  const names = new Set(readdirSync(folder).filter((name) => /^[\w.-]+\.js$/.test(name)))
  const files = new Map<string, Promise<Buffer>>()
  return {
    read(name) {
      if (!names.has(name)) return undefined
      const known = files.get(name)
      if (known !== undefined) return known
      const file = readFile(join(folder, name))
      files.set(name, file)
      file.catch(() => files.delete(name))
      return file
    },
  }
}
