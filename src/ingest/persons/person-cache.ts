import { LRUCache } from 'lru-cache'
import type { StoredPerson } from './person-state.ts'

/**
 * Persons as they were last read or written here, by row number. A batch still asks the database for the
 * version of each of its persons, and a cached one counts only if it has that version; so other processes may
 * write as they like. What is spared is reading and parsing the properties.
 *
 * Only committed rows may be put: a version that was rolled back is given again to something else.
 */
export interface PersonCache {
  get(id: string, version: number): StoredPerson | undefined
  put(person: StoredPerson): void
}

/** What an entry costs beside its properties. */
const entryBytes = 256

/** `bytesMax` bounds the text of the properties; their parsed form takes some times as much. 0 caches nothing. */
export function createPersonCache(bytesMax: number): PersonCache {
  if (bytesMax === 0) return { get: () => undefined, put: () => undefined }
  const persons = new LRUCache<string, StoredPerson>({
    maxSize: bytesMax,
    sizeCalculation: (person) => person.propertiesText.length + entryBytes,
  })
  return {
    get(id, version) {
      const person = persons.get(id)
      return person?.version === version ? person : undefined
    },
    put: (person) => void persons.set(person.id, person),
  }
}
