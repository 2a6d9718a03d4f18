/** A role is a folder: the word on the command line, the folder, and the prefix of its metrics are the same. */
export const roleNames = {
  capture: "An SDK's request becomes durable records on the log.",
  ingest: 'Records become clean, unique, enriched events with a person.',
  datasets: 'Ready messages become rows.',
  consumer: 'Messages of any topic become rows of the storages that the config names.',
  api: 'People and programs ask questions.',
} as const

export type RoleName = keyof typeof roleNames

export function isRoleName(name: string): name is RoleName {
  return Object.hasOwn(roleNames, name)
}
