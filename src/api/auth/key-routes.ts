import { z } from 'zod'
import type { Database } from '../../ports/database.ts'
import type { Random } from '../../ports/random.ts'
import { notFound } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'
import { type ApiKey, deleteKey, generateKey, listKeys, storeKey } from './keys.ts'
import { requireUnscoped } from './scope.ts'

const keySchema = z.strictObject({
  id: z.uuid(),
  label: z.string(),
  mask_value: z.string(),
  scoped_projects: z.array(z.number().int()).nullable(),
  created_at: z.string(),
  last_used_at: z.string().nullable(),
})
const newKeySchema = z.strictObject({
  label: plainText(100, 1),
  scoped_projects: z.array(z.number().int().min(1).max(2_147_483_647)).min(1).max(1000).nullable().optional(),
})

/** Only a key that sees every project may manage keys: otherwise it could give itself more. */
export function createKeyRoutes(ports: { database: Database; random: Random }): ApiRoute[] {
  const { database, random } = ports
  return [
    defineRoute({
      method: 'GET',
      path: '/api/personal_api_keys',
      summary: 'The keys, without their values',
      tag: 'keys',
      answers: { 200: z.strictObject({ results: z.array(keySchema) }) },
      async run({ key }) {
        requireUnscoped(key, 'manage keys')
        return { status: 200, body: { results: (await listKeys(database)).map(keyBody) } }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/personal_api_keys',
      summary: 'Make a key; its value is in this answer and never again',
      tag: 'keys',
      body: newKeySchema,
      answers: { 201: keySchema.extend({ value: z.string() }) },
      async run({ key, body }) {
        requireUnscoped(key, 'manage keys')
        const value = generateKey(random)
        const stored = await storeKey(database, {
          value,
          label: body.label,
          projects: body.scoped_projects ?? null,
        })
        return { status: 201, body: { ...keyBody(stored), value } }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/personal_api_keys/:key_id',
      summary: 'Revoke a key; it stops working within api.keyCacheMs',
      tag: 'keys',
      answers: { 204: z.undefined() },
      async run({ key, path }) {
        requireUnscoped(key, 'manage keys')
        const id = z.guid().safeParse(path.key_id)
        if (!id.success || !(await deleteKey(database, id.data))) throw notFound()
        return { status: 204, body: undefined }
      },
    }),
  ]
}

function keyBody(key: ApiKey): z.output<typeof keySchema> {
  return {
    id: key.id,
    label: key.label,
    mask_value: key.mask,
    scoped_projects: key.projects === null ? null : [...key.projects],
    created_at: key.createdAt,
    last_used_at: key.lastUsedAt,
  }
}
