import { findProjectByToken } from '../../api/projects/projects.ts'
import { createDatasetStages } from '../../datasets/datasets.ts'
import type { StopSignals, World } from '../world.ts'
import { runStages } from './run-stages.ts'

export async function runDatasetsRole(world: World, signals: StopSignals): Promise<void> {
  const { blobs, config } = world
  const { database, warehouse } = world.engines
  const resolveTeam = async (token: string): Promise<{ teamId: number } | undefined> => {
    const project = await findProjectByToken(database, token)
    return project === undefined ? undefined : { teamId: project.id }
  }
  const { batchBytesMax, batchRecordsMax, batchWaitMs } = config.datasets
  await runStages(
    { ...world, logger: world.logger.child({ role: 'datasets' }) },
    createDatasetStages({ warehouse, blobs, resolveTeam }, config.datasets),
    { stream: { ...config.stream, batchBytesMax, batchRecordsMax, batchWaitMs }, signals },
  )
}
