/** The processors of this repository by the name that a storage's YAML gives under `processor.built_in`. */
import type { CreateProcessor, RowFormat } from '../processor/processor.ts'
import { createGroupAssignees, createGroupedMessages } from './cdc/cdc.ts'
import { createEapItems } from './eap/eap-items.ts'
import { createErrorsProcessor } from './errors/errors.ts'
import { createGroupAttributes } from './groups/group-attributes.ts'
import { createGenericCounters } from './metrics/generic-counters.ts'
import { createMetrics } from './metrics/metrics.ts'
import { createLlmProxyCost } from './outcomes/llm-proxy-cost.ts'
import { createOutcomes } from './outcomes/outcomes.ts'
import { createFunctions } from './profiles/functions.ts'
import { createProfileChunks } from './profiles/profile-chunks.ts'
import { createProfiles } from './profiles/profiles.ts'
import { createQuerylog } from './querylog/querylog.ts'
import { createReadyDistinctId, createReadyRow } from './ready/ready.ts'
import { createReplays } from './replays/replays.ts'
import { createSearchIssuesProcessor } from './search-issues/search-issues.ts'
import { createTransactionsProcessor } from './transactions/transactions.ts'

export type BuiltInProcessor = { create: CreateProcessor; formats: readonly RowFormat[] }

const builtInProcessors: Readonly<Record<string, BuiltInProcessor>> = {
  eap_items: { create: createEapItems, formats: ['JSONEachRow', 'RowBinary'] },
  errors: { create: createErrorsProcessor, formats: ['JSONEachRow'] },
  functions: { create: createFunctions, formats: ['JSONEachRow'] },
  generic_metrics_counters: { create: createGenericCounters, formats: ['JSONEachRow'] },
  group_attributes: { create: createGroupAttributes, formats: ['JSONEachRow'] },
  groupassignees: { create: createGroupAssignees, formats: ['JSONEachRow'] },
  groupedmessages: { create: createGroupedMessages, formats: ['JSONEachRow'] },
  llm_proxy_cost: { create: createLlmProxyCost, formats: ['JSONEachRow'] },
  metrics: { create: createMetrics, formats: ['JSONEachRow'] },
  outcomes: { create: createOutcomes, formats: ['JSONEachRow'] },
  profile_chunks: { create: createProfileChunks, formats: ['JSONEachRow'] },
  profiles: { create: createProfiles, formats: ['JSONEachRow'] },
  querylog: { create: createQuerylog, formats: ['JSONEachRow'] },
  ready_distinct_id: { create: createReadyDistinctId, formats: ['JSONEachRow'] },
  ready_row: { create: createReadyRow, formats: ['JSONEachRow'] },
  replays: { create: createReplays, formats: ['JSONEachRow'] },
  search_issues: { create: createSearchIssuesProcessor, formats: ['JSONEachRow'] },
  transactions: { create: createTransactionsProcessor, formats: ['JSONEachRow'] },
}

export function findBuiltInProcessor(name: string): BuiltInProcessor | undefined {
  return Object.hasOwn(builtInProcessors, name) ? builtInProcessors[name] : undefined
}

export function builtInProcessorNames(): string[] {
  return Object.keys(builtInProcessors).toSorted()
}
