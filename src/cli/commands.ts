import type { Command } from './command.ts'
import { auditCommand } from './commands/audit.ts'
import { configCommand } from './commands/config.ts'
import { doctorCommand } from './commands/doctor.ts'
import { keysCommand } from './commands/keys.ts'
import { loadCommand } from './commands/load.ts'
import { migrateCommand } from './commands/migrate.ts'
import { projectCommand } from './commands/project.ts'
import { serveCommand } from './commands/serve.ts'
import { tailCommand } from './commands/tail.ts'
import { traceCommand } from './commands/trace.ts'
import { versionCommand } from './commands/version.ts'

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  serveCommand,
  projectCommand,
  keysCommand,
  tailCommand,
  traceCommand,
  auditCommand,
  loadCommand,
  doctorCommand,
  configCommand,
  migrateCommand,
  versionCommand,
]
