/**
 * Completes package-lock.json after a dependency changed.
 *
 * A registry mirror may lack a package's binaries for other platforms; the lock file then misses them and
 * `npm ci` refuses to run. This adds the missing entries from what the packages themselves declare. Run it
 * with `node scripts/lock.ts` after every `npm install`.
 */
import { readFileSync, writeFileSync } from 'node:fs'

type LockEntry = {
  version?: string
  cpu?: string[]
  os?: string[]
  libc?: string[]
  dev?: boolean
  optional?: boolean
  optionalDependencies?: Record<string, string>
}

const lockPath = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(lockPath, 'utf8')) as { packages: Record<string, LockEntry> }
const added: string[] = []
for (const [path, owner] of Object.entries(lock.packages)) {
  if (path === '') continue
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key] !== undefined || lock.packages[`${path}/${key}`] !== undefined) continue
    lock.packages[key] = {
      version,
      ...platformOf(name),
      ...(owner.dev === true ? { dev: true } : {}),
      optional: true,
    }
    added.push(name)
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(lockPath, `${JSON.stringify(lock, null, 2)}\n`)
process.stdout.write(added.length === 0 ? 'the lock file is complete\n' : `added ${added.join(', ')}\n`)

function platformOf(name: string): Pick<LockEntry, 'os' | 'cpu' | 'libc'> {
  const found =
    /(?<os>linux|darwin|win32|android|freebsd)-(?<cpu>x64|arm64|arm|ia32)(-(?<libc>musl|gnu))?/.exec(
      name,
    )?.groups
  if (found?.os === undefined || found.cpu === undefined)
    throw new Error(`${name} does not name its platform`)
  const libc = found.libc === undefined ? {} : { libc: [found.libc === 'musl' ? 'musl' : 'glibc'] }
  return { os: [found.os], cpu: [found.cpu], ...libc }
}
