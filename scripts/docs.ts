/** `npm run docs`: writes the reference pages that follow from registers. A test compares them. */
import { writeFileSync } from 'node:fs'
import { referencePages } from './reference-pages.ts'

for (const [path, text] of Object.entries(referencePages())) {
  writeFileSync(new URL(`../${path}`, import.meta.url), text)
  process.stdout.write(`${path}\n`)
}
