import { isRowmillError } from '../../errors/rowmill-error.ts'

/** What the doctor has found: `bad` keeps Rowmill from working, `doubtful` may, and each says what to do. */
export type Finding = { subject: string; state: 'good' | 'doubtful' | 'bad'; says: string; advice?: string }

export function good(subject: string, says: string): Finding {
  return { subject, state: 'good', says }
}

export function doubtful(subject: string, says: string, advice: string): Finding {
  return { subject, state: 'doubtful', says, advice }
}

/** With the error's causes, because the outermost often says only what was tried. */
export function bad(subject: string, error: unknown, advice: string): Finding {
  const said: string[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    said.push(`${isRowmillError(at) ? `${at.code}: ` : ''}${at.message}`)
  return { subject, state: 'bad', says: said.length === 0 ? String(error) : said.join(' because: '), advice }
}
