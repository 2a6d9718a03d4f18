import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../../../test/support/temp-dir.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { exerciseBlobs } from '../../ports/blobs.contract.ts'
import { openEmbeddedBlobs } from './blobs.ts'
import { createSystemRandom } from './random.ts'

const random = createSystemRandom()

exerciseBlobs('embedded blobs', async () => {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await tempDir()).path
  const blobs = stack.use(await openEmbeddedBlobs({ directory, random }))
  const owned = stack.move()
  return {
    blobs,
    reopen: async () => owned.use(await openEmbeddedBlobs({ directory, random })),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
})

test('a symbolic link does not lead out of the folder', async () => {
  await using dir = await tempDir()
  await using blobs = await openEmbeddedBlobs({ directory: join(dir.path, 'blobs'), random })
  await mkdir(join(dir.path, 'outside'))
  await writeFile(join(dir.path, 'outside', 'secret~'), 'secret')
  await symlink(join(dir.path, 'outside'), join(dir.path, 'blobs', 'way'))
  await symlink(join(dir.path, 'outside', 'secret~'), join(dir.path, 'blobs', 'direct~'))
  assert.equal(await blobs.get('way/secret'), undefined)
  assert.equal(await blobs.get('direct'), undefined)
  assert.equal(await blobs.delete('way/secret'), false)
  await assert.rejects(blobs.put('way/new', Buffer.from('x')), (error) =>
    isRowmillError(error, 'BLOBS_UNAVAILABLE'),
  )
  assert.deepEqual(await Array.fromAsync(blobs.list('')), [])
  assert.deepEqual(await readdir(join(dir.path, 'outside')), ['secret~'])
  await blobs.put('direct', Buffer.from('own'))
  assert.equal(await readFile(join(dir.path, 'outside', 'secret~'), 'utf8'), 'secret')
})

test('what a dead process left half-written is removed', async () => {
  await using dir = await tempDir()
  await openEmbeddedBlobs({ directory: dir.path, random })
  // No system gives this process number.
  await writeFile(join(dir.path, '~unfinished', '99999999-ab'), 'half')
  await writeFile(join(dir.path, '~unfinished', `${process.pid}-ab`), 'under way')
  await openEmbeddedBlobs({ directory: dir.path, random })
  assert.deepEqual(await readdir(join(dir.path, '~unfinished')), [`${process.pid}-ab`])
})

test('a folder that cannot be written is reported', async () => {
  await using dir = await tempDir()
  await writeFile(join(dir.path, 'file'), '')
  await assert.rejects(openEmbeddedBlobs({ directory: join(dir.path, 'file', 'below'), random }), (error) =>
    isRowmillError(error, 'BLOBS_UNAVAILABLE'),
  )
  await using blobs = await openEmbeddedBlobs({ directory: dir.path, random })
  await mkdir(join(dir.path, 'taken~'))
  await assert.rejects(blobs.put('taken', Buffer.from('x')), (error) =>
    isRowmillError(error, 'BLOBS_UNAVAILABLE'),
  )
  assert.deepEqual(await readdir(join(dir.path, '~unfinished')), [])
})
