import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { mayCaptureName, warningRegister } from './register.ts'

test('the reference page lists the register, line by line', async () => {
  const page = await readFile(
    new URL('../../../docs/reference/ingestion-warnings.md', import.meta.url),
    'utf8',
  )
  const rows = Object.entries(warningRegister).map(([type, entry]) => {
    const from = 'fromCapture' in entry ? 'capture' : 'ingest'
    return `| \`${type}\` | ${entry.category} | ${entry.severity} | ${from} | ${entry.means} |`
  })
  const listed = page.split('\n').filter((line) => line.startsWith('| `'))
  assert.deepEqual(listed, rows)
})

test('only what capture finds may be named by an event from outside', () => {
  assert.equal(mayCaptureName('missing_event_name'), true)
  assert.equal(mayCaptureName('schema_validation_failed'), false)
  assert.equal(mayCaptureName('client_ingestion_warning'), false)
})
