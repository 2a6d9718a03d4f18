import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { createProjectChanges, runProjectNews } from './project-changes.ts'
import { createProject, updateProject } from './projects.ts'

test('who subscribes hears of changes until it is disposed', () => {
  const changes = createProjectChanges()
  const heard: string[] = []
  {
    using _subscription = changes.subscribe((token) => heard.push(token))
    changes.tell('phc_a')
  }
  changes.tell('phc_b')
  assert.deepEqual(heard, ['phc_a'])
})

test('making and changing a project is heard through PostgreSQL, once it is committed', async () => {
  await using opened = await openTestDatabase()
  const { database } = opened
  const changes = createProjectChanges()
  const heard: string[] = []
  using _subscription = changes.subscribe((token) => heard.push(token))
  const stop = new AbortController()
  const { logger } = quietTelemetry()
  const running = runProjectNews({ database, logger, changes }, { signal: stop.signal })
  let made = 0
  await waitFor(async () => {
    await createProject(database, { name: 'many', apiToken: `phc_${made++}` })
    return heard.length > 0
  })
  const project = await createProject(database, { name: 'shop', apiToken: 'phc_shop' })
  await waitFor(() => heard.includes('phc_shop'))
  const failed = database.transaction(async (session) => {
    await updateProject(session, project.id, { timezone: 'Asia/Tokyo' })
    throw new Error('rolled back')
  })
  await assert.rejects(failed, /rolled back/)
  const updated = await updateProject(database, project.id, { cookielessMode: 'stateful' })
  assert.deepEqual([updated?.cookielessMode, updated?.timezone], ['stateful', 'UTC'])
  await waitFor(() => heard.filter((token) => token === 'phc_shop').length === 2)
  stop.abort()
  await running
})
