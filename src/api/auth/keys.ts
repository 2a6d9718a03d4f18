/**
 * Personal API keys (`phx_…`), as PostHog stores them: only a SHA-256 of the key is kept, so a read of the
 * database gives nobody a key. A key is shown once, when it is made.
 */
import { createHash } from 'node:crypto'
import type { Database } from '../../ports/database.ts'
import type { Random } from '../../ports/random.ts'

export type ApiKey = {
  id: string
  label: string
  /** The key's last characters, to tell keys apart. */
  mask: string
  /** Projects that the key may see; null for all. */
  projects: readonly number[] | null
  createdAt: string
  lastUsedAt: string | null
}

type KeyRow = {
  id: string
  label: string
  mask_value: string
  scoped_teams: number[] | null
  created_at: string
  last_used_at: string | null
}

const columns = 'id, label, mask_value, scoped_teams, created_at, last_used_at'

/** PostHog's stored form: the name of the hash, then the digest in hex. */
export function hashKey(key: string): string {
  return `sha256$${createHash('sha256').update(key, 'utf8').digest('hex')}`
}

export function generateKey(random: Random): string {
  return `phx_${random.bytes(32).toString('base64url').replaceAll(/[-_]/g, 'x')}`
}

/** Stores a key and answers it as it will be shown. Storing the same key again changes nothing. */
export async function storeKey(
  database: Database,
  key: { value: string; label: string; projects?: readonly number[] | null },
): Promise<ApiKey> {
  const rows = await database.query<KeyRow>(
    `insert into posthog_personalapikey (label, secure_value, mask_value, scoped_teams) values ($1, $2, $3, $4)
     on conflict (secure_value) do update set label = posthog_personalapikey.label returning ${columns}`,
    [key.label, hashKey(key.value), `phx_...${key.value.slice(-4)}`, key.projects ?? null],
  )
  return toKey(rows[0])
}

export async function findKey(database: Database, value: string): Promise<ApiKey | undefined> {
  const rows = await database.query<KeyRow>(
    `update posthog_personalapikey set last_used_at = now() where secure_value = $1 returning ${columns}`,
    [hashKey(value)],
  )
  return rows.length === 0 ? undefined : toKey(rows[0])
}

export async function listKeys(database: Database): Promise<ApiKey[]> {
  return (
    await database.query<KeyRow>(`select ${columns} from posthog_personalapikey order by created_at, id`)
  ).map(toKey)
}

export async function deleteKey(database: Database, id: string): Promise<boolean> {
  return (await database.execute('delete from posthog_personalapikey where id = $1', [id])) === 1
}

function toKey(row: KeyRow | undefined): ApiKey {
  if (row === undefined) throw new Error('a statement that returns a key returned none')
  return {
    id: row.id,
    label: row.label,
    mask: row.mask_value,
    projects: row.scoped_teams,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}
