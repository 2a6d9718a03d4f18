import type { Random } from '../../ports/random.ts'

/**
 * Where the blobs of one AI event lie: under their project's token, and a name that nobody can guess or take
 * twice, so that no request overwrites what another has stored.
 */
export function blobKey(token: string, name: string): string {
  const isPlain = /^[A-Za-z0-9_-]+$/.test(token)
  return `ai/${isPlain ? token : `=${Buffer.from(token).toString('base64url')}`}/${name}`
}

export function randomSegment(random: Random): string {
  return random.bytes(16).toString('hex')
}
