import assert from 'node:assert/strict'
import { chmod, mkdir, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { quietTelemetry } from '../../../../test/support/quiet.ts'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { prepareNative } from './binaries.ts'

const { logger } = quietTelemetry()
// No file here belongs to this user or group, so that only the rights of others count.
const owner = { uid: 65_533, gid: 65_533 }

async function makePackage(at: string): Promise<string> {
  const native = join(at, 'native')
  await mkdir(join(native, 'bin'), { recursive: true })
  await mkdir(join(native, 'lib'))
  await writeFile(join(native, 'lib', 'libx.so.1.2'), 'library')
  await writeFile(
    join(native, 'pg-symlinks.json'),
    JSON.stringify([{ source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so.1' }]),
  )
  await writeFile(join(at, 'package.json'), JSON.stringify({ version: '18.4.0-beta.1' }))
  return native
}

test('missing library links are made in the package, by any number of processes at once', async () => {
  await using dir = await tempDir()
  const native = await makePackage(dir.path)
  const prepare = () =>
    prepareNative({ logger }, { native, directory: join(dir.path, 'data'), owner: undefined })
  assert.deepEqual(await Promise.all([prepare(), prepare(), prepare()]), [native, native, native])
  assert.equal(await readlink(join(native, 'lib', 'libx.so.1')), 'libx.so.1.2')
})

test('a package that the user of PostgreSQL cannot reach is copied once, with its links', async () => {
  await using dir = await tempDir()
  const native = await makePackage(join(dir.path, 'closed'))
  await chmod(join(dir.path, 'closed'), 0o700)
  const directory = join(dir.path, 'data')
  const prepare = () => prepareNative({ logger }, { native, directory, owner })
  const copy = await prepare()
  assert.equal(copy, join(directory, 'programs-18.4.0-beta.1'))
  assert.equal(await readlink(join(copy, 'lib', 'libx.so.1')), 'libx.so.1.2')
  await rm(join(native, 'lib', 'libx.so.1.2'))
  assert.equal(await prepare(), copy)
})
