/**
 * News of projects that were made or changed, for whoever keeps settings of projects in memory. Within the
 * process that changes a project it is told before the change is answered: an event that is acknowledged after
 * the answer is processed under the new settings. From other processes, such as `rowmill project update`, the
 * news comes by PostgreSQL's NOTIFY, a moment later. It can be missed while a connection is broken: settings
 * are read again from time to time in any case.
 */
import type { Database } from '../../ports/database.ts'
import type { Logger } from '../../telemetry/logger.ts'

/** Carries the tokens of projects that have changed. */
export const projectChannel = 'rowmill_project'

export interface ProjectChanges {
  tell(apiToken: string): void
  /** Until disposed. A listener must not throw. */
  subscribe(listener: (apiToken: string) => void): Disposable
}

export function createProjectChanges(): ProjectChanges {
  const listeners = new Set<(apiToken: string) => void>()
  return {
    tell(apiToken) {
      for (const listener of listeners) listener(apiToken)
    },
    subscribe(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
  }
}

/** Passes on what other processes tell, until the signal aborts. */
export async function runProjectNews(
  ports: { database: Database; logger: Logger; changes: ProjectChanges },
  options: { signal: AbortSignal },
): Promise<void> {
  try {
    for await (const apiToken of ports.database.listen(projectChannel, options)) ports.changes.tell(apiToken)
  } catch (error) {
    // A pooler between Rowmill and PostgreSQL may know no LISTEN. The settings are read again without it too.
    ports.logger.warn({ error }, 'Changes of projects by other processes are seen late: LISTEN failed')
  }
}
