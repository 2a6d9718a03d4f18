/**
 * Completes package-lock.json after a dependency changed.
 *
 * A registry mirror may lack chDB's packages for other platforms; the lock file then misses them and
 * `npm ci` refuses to run. This adds the missing entries by hand, from what chdb itself declares.
 * Run it with `node scripts/lock.ts` after every `npm install`.
 */
import { readFileSync, writeFileSync } from 'node:fs'

type LockEntry = {
  version?: string
  cpu?: string[]
  os?: string[]
  optional?: boolean
  optionalDependencies?: Record<string, string>
}

const lockPath = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(lockPath, 'utf8')) as { packages: Record<string, LockEntry> }
const wanted = lock.packages['node_modules/chdb']?.optionalDependencies ?? {}
const added: string[] = []
for (const [name, version] of Object.entries(wanted)) {
  const key = `node_modules/${name}`
  if (lock.packages[key] !== undefined) continue
  const platform = /lib-(?<os>linux|darwin)-(?<cpu>x64|arm64)/.exec(name)?.groups
  if (platform?.os === undefined || platform.cpu === undefined)
    throw new Error(`unknown platform package ${name}`)
  lock.packages[key] = { version, cpu: [platform.cpu], os: [platform.os], optional: true }
  added.push(name)
}
writeFileSync(lockPath, `${JSON.stringify(lock, null, 2)}\n`)
process.stdout.write(added.length === 0 ? 'the lock file is complete\n' : `added ${added.join(', ')}\n`)
