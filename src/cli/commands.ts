import type { Command } from './command.ts'
import { auditCommand } from './commands/audit.ts'
import { configCommand } from './commands/config.ts'
import { consumerCommand, replacerCommand } from './commands/consumer/consumer.ts'
import { dlqCommand } from './commands/consumer/dlq.ts'
import { offsetsCommand } from './commands/consumer/offsets.ts'
import { optionCommand } from './commands/consumer/option.ts'
import { processorCommand } from './commands/consumer/processor.ts'
import { produceCommand } from './commands/consumer/produce.ts'
import { proveCommand } from './commands/consumer/prove.ts'
import { storageCommand } from './commands/consumer/storage.ts'
import { doctorCommand } from './commands/doctor.ts'
import { jobsCommand } from './commands/jobs/jobs.ts'
import { keysCommand } from './commands/keys.ts'
import { loadCommand } from './commands/load.ts'
import { migrateCommand } from './commands/migrate.ts'
import { pluginCommand } from './commands/plugin/plugin.ts'
import { projectCommand } from './commands/project.ts'
import { queryCommand } from './commands/query.ts'
import { serveCommand } from './commands/serve.ts'
import { tailCommand } from './commands/tail.ts'
import { traceCommand } from './commands/trace.ts'
import { versionCommand } from './commands/version.ts'

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  serveCommand,
  consumerCommand,
  replacerCommand,
  produceCommand,
  offsetsCommand,
  dlqCommand,
  optionCommand,
  storageCommand,
  processorCommand,
  proveCommand,
  jobsCommand,
  pluginCommand,
  projectCommand,
  keysCommand,
  queryCommand,
  tailCommand,
  traceCommand,
  auditCommand,
  loadCommand,
  doctorCommand,
  configCommand,
  migrateCommand,
  versionCommand,
]
