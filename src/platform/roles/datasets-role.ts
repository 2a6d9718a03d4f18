import { findProjectByToken } from '../../api/projects/projects.ts'
import { readDatasetStages } from '../../datasets/datasets.ts'
import { blobsOf, databaseOf, logOf, type StopSignals, type World, warehouseOf } from '../world.ts'
import { runStages } from './run-stages.ts'

export async function runDatasetsRole(world: World, signals: StopSignals): Promise<void> {
  const { config } = world
  const database = databaseOf(world)
  const warehouse = warehouseOf(world)
  const resolveTeam = async (token: string): Promise<{ teamId: number } | undefined> => {
    const project = await findProjectByToken(database, token)
    return project === undefined ? undefined : { teamId: project.id }
  }
  const ports = {
    ...world,
    log: logOf(world),
    blobs: blobsOf(world),
    logger: world.logger.child({ role: 'datasets' }),
  }
  const stages = await readDatasetStages({ ...ports, warehouse, resolveTeam }, config.datasets)
  await runStages(ports, stages, { stream: config.stream, signals })
}
