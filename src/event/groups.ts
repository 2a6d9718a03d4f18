/**
 * Names of consumer groups. Groups of other programs on a shared log are no business of ours, except that they are
 * left alone.
 */
export function isOwnGroup(group: string): boolean {
  return /^(ingest|datasets-)/.test(group)
}
