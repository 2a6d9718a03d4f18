/** What every blob store must do. Each case opens its own, empty. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { Blobs } from './blobs.ts'

export type BlobsHarness = AsyncDisposable & { blobs: Blobs; reopen(): Promise<Blobs> }

export function exerciseBlobs(name: string, open: () => Promise<BlobsHarness>): void {
  const check = (what: string, body: (harness: BlobsHarness) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      await using harness = await open()
      await body(harness)
    })

  check('what was put can be got, also after opening again', async ({ blobs, reopen }) => {
    const bytes = Buffer.from([0, 255, 10, 13, 0])
    await blobs.put('a/b.bin', bytes)
    assert.deepEqual(await blobs.get('a/b.bin'), bytes)
    assert.deepEqual(await (await reopen()).get('a/b.bin'), bytes)
  })

  check('a missing key is undefined', async ({ blobs }) => {
    assert.equal(await blobs.get('nowhere'), undefined)
    assert.equal(await blobs.get('no/where/at/all'), undefined)
  })

  check('a second put replaces the object', async ({ blobs }) => {
    await blobs.put('key', Buffer.from('a longer first value'))
    await blobs.put('key', Buffer.from('second'))
    assert.equal(String(await blobs.get('key')), 'second')
    await blobs.put('key', Buffer.alloc(0))
    assert.deepEqual(await blobs.get('key'), Buffer.alloc(0))
  })

  check('readers see one whole object while it is being replaced', async ({ blobs }) => {
    const values = [Buffer.alloc(300_000, 'a'), Buffer.alloc(200_000, 'b')] as const
    await blobs.put('key', values[0])
    const writes = (async () => {
      for (let round = 0; round < 10; round++) await blobs.put('key', values[round % 2 === 0 ? 1 : 0])
    })()
    for (let round = 0; round < 20; round++) {
      const seen = await blobs.get('key')
      assert(values.some((value) => seen?.equals(value)))
    }
    await writes
  })

  check('a key may be the beginning of another one', async ({ blobs }) => {
    await blobs.put('a', Buffer.from('1'))
    await blobs.put('a/b', Buffer.from('2'))
    await blobs.put('a/b/c', Buffer.from('3'))
    assert.equal(await blobs.delete('a/b'), true)
    assert.equal(String(await blobs.get('a')), '1')
    assert.equal(await blobs.get('a/b'), undefined)
    assert.equal(String(await blobs.get('a/b/c')), '3')
  })

  check('delete says whether there was something', async ({ blobs }) => {
    await blobs.put('gone', Buffer.from('x'))
    assert.equal(await blobs.delete('gone'), true)
    assert.equal(await blobs.delete('gone'), false)
    assert.equal(await blobs.delete('never/there'), false)
    assert.equal(await blobs.get('gone'), undefined)
  })

  check('list gives keys with a prefix in byte order, with their sizes', async ({ blobs }) => {
    const long = 'x'.repeat(400)
    const keys = [
      'a',
      'a-b',
      'a/b',
      'a.b',
      'a/c/d',
      'ab',
      'b/a',
      'A/z',
      `l/${long}`,
      `l/${long.slice(0, 200)}/y`,
      `l/${long.slice(0, 200)}`,
      `l/${long.slice(0, 200)}-z`,
    ]
    for (const key of keys) await blobs.put(key, Buffer.from(key.slice(0, 3)))
    for (const prefix of ['', 'a', 'a/', 'a/c', 'b/a', 'l/xx', 'none', `l/${long.slice(0, 250)}`]) {
      const listed = await Array.fromAsync(blobs.list(prefix))
      const expected = keys.filter((key) => key.startsWith(prefix)).sort()
      assert.deepEqual(
        listed,
        expected.map((key) => ({ key, bytes: Math.min(3, key.length) })),
      )
    }
  })

  check('an aborted list ends without an error', async ({ blobs }) => {
    for (const key of ['a', 'b', 'c']) await blobs.put(key, Buffer.from('x'))
    const abort = new AbortController()
    const seen: string[] = []
    for await (const { key } of blobs.list('', { signal: abort.signal })) {
      seen.push(key)
      abort.abort()
    }
    assert.deepEqual(seen, ['a'])
  })

  check('keys that are not allowed are refused', async ({ blobs }) => {
    const wrong = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      './a',
      'a b',
      'ä',
      'a\\b',
      'a~',
      'a+',
      'a\0',
      'x'.repeat(513),
    ]
    for (const key of wrong) {
      const isRefused = (error: unknown) => isRowmillError(error, 'BLOB_KEY_INVALID')
      await assert.rejects(blobs.put(key, Buffer.from('x')), isRefused, JSON.stringify(key))
      await assert.rejects(blobs.get(key), isRefused)
      await assert.rejects(blobs.delete(key), isRefused)
      await assert.rejects(blobs.presign(key, { expiresMs: 1000 }), isRefused)
    }
    await blobs.put(`${'x'.repeat(300)}/...=-_.${'y'.repeat(200)}`, Buffer.from('fine'))
    assert.equal((await Array.fromAsync(blobs.list(''))).length, 1)
  })

  check('an address, where there are any, reads and writes this one object', async ({ blobs }) => {
    await blobs.put('a/b', Buffer.from('first'))
    const reading = await blobs.presign('a/b', { expiresMs: 60_000 })
    const writing = await blobs.presign('a/b', { expiresMs: 60_000, method: 'put' })
    assert.equal(reading === undefined, writing === undefined)
    if (reading === undefined || writing === undefined) return
    assert.equal(await (await fetch(reading)).text(), 'first')
    assert.equal((await fetch(writing, { method: 'PUT', body: 'second' })).status, 200)
    assert.equal(String(await blobs.get('a/b')), 'second')
    assert.equal((await fetch(reading, { method: 'PUT', body: 'third' })).status, 403)
    assert.equal((await fetch(reading.replace('a/b?', 'a/c?'))).status, 403)
    const missing = await blobs.presign('none', { expiresMs: 60_000 })
    assert.equal(missing === undefined ? undefined : (await fetch(missing)).status, 404)
  })

  check('it may be closed twice, and is closed then', async ({ blobs }) => {
    await blobs[Symbol.asyncDispose]()
    await blobs[Symbol.asyncDispose]()
    await assert.rejects(blobs.get('a'), (error) => isRowmillError(error, 'BLOBS_UNAVAILABLE'))
  })
}
