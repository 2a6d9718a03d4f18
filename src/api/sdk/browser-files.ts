/**
 * `/static/<file>.js`: posthog-js's own browser files, so that PostHog's HTML snippet and its lazily loaded
 * parts (the session recorder among them) work with Rowmill as `api_host`. They come from the installed
 * `posthog-js` package and are never changed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'

export function registerBrowserFiles(app: FastifyInstance): void {
  const folder = join(dirname(createRequire(import.meta.url).resolve('posthog-js/package.json')), 'dist')
  const names = new Set(readdirSync(folder).filter((name) => /^[\w.-]+\.js$/.test(name)))
  app.get<{ Params: { file: string } }>('/static/:file', async (request, reply) => {
    const { file } = request.params
    if (!names.has(file))
      return reply.code(404).type('text/plain; charset=utf-8').send('There is no such file.')
    return reply
      .header('cache-control', 'public, max-age=3600')
      .type('application/javascript; charset=utf-8')
      .send(readFileSync(join(folder, file)))
  })
}
