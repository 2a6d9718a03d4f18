import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The user that PostgreSQL runs as, where Rowmill itself is root, which PostgreSQL refuses to be. */
export type Owner = { uid: number; gid: number }

/** `undefined` when this process is an ordinary user: PostgreSQL then runs as the same one. */
export async function findOwner(): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const passwd = await readFile('/etc/passwd', 'utf8')
  const entries = passwd.split('\n').map((line) => line.split(':'))
  const entry = entries.find(([name]) => name === 'postgres') ?? entries.find(([name]) => name === 'nobody')
  // PostgreSQL looks its user up by number and does not start as one that has no name.
  return { uid: Number(entry?.[2] ?? 65_534), gid: Number(entry?.[3] ?? 65_534) }
}

/** The first folder on the way to `path`, itself included, that this user may not pass through. */
export async function findClosedFolder(path: string, owner: Owner): Promise<string | undefined> {
  const folders: string[] = []
  for (let folder = path; ; folder = dirname(folder)) {
    folders.unshift(folder)
    if (folder === dirname(folder)) break
  }
  for (const folder of folders) {
    const { mode, uid, gid } = await stat(folder)
    const bit = uid === owner.uid ? 0o100 : gid === owner.gid ? 0o010 : 0o001
    if ((mode & bit) === 0) return folder
  }
  return undefined
}
