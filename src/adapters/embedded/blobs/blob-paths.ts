import { join } from 'node:path'
import { checkBlobKey } from '../../../ports/blobs.ts'

/**
 * Where a key lives in the folder. The marks `~` and `+` cannot occur in a key: the file of an object ends in
 * `~`, so that `a` and `a/b` may both exist; a segment longer than a file name may be is cut, and its pieces
 * but the last are folders that end in `+`. Names that begin with `~` are the store's own.
 */
export const pieceCharsMax = 200

/** The path below the root. Fails with `BLOB_KEY_INVALID`. */
export function pathOfKey(key: string): string {
  checkBlobKey(key)
  const names = key.split('/').flatMap((name) => {
    const pieces: string[] = []
    for (let from = 0; from < name.length; from += pieceCharsMax)
      pieces.push(name.slice(from, from + pieceCharsMax))
    return pieces.map((piece, index) => (index === pieces.length - 1 ? piece : `${piece}+`))
  })
  return `${join(...names)}~`
}

/** What a name in a folder adds to the key: an object, or a folder whose keys go on from there; `undefined` for the store's own. */
export function keyOfName(name: string): { kind: 'object' | 'folder'; text: string } | undefined {
  if (name.startsWith('~')) return undefined
  if (name.endsWith('~')) return { kind: 'object', text: name.slice(0, -1) }
  return { kind: 'folder', text: name.endsWith('+') ? name.slice(0, -1) : `${name}/` }
}
