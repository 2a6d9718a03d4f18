import { z } from 'zod'
import type { Database } from '../../ports/database.ts'
import { notFound } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { deletionBody, deletionSchema, findDeletion } from './deletions.ts'

export function createDeletionRoutes(ports: { database: Database }): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/deletions/:deletion_id',
      summary: 'How far a deletion is',
      tag: 'deletions',
      answers: { 200: deletionSchema },
      async run({ project, path }) {
        const id = z.uuid().safeParse(path.deletion_id)
        const deletion = id.success ? await findDeletion(ports.database, project.id, id.data) : undefined
        if (deletion === undefined) throw notFound()
        return { status: 200, body: deletionBody(deletion) }
      },
    }),
  ]
}
