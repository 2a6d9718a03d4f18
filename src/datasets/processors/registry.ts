/**
 * The processors of this repository by the name that a storage's YAML gives under `processor.built_in`. A
 * processor is loaded when it is first wanted: a program that fills none of its storages does not hold it.
 */
import type { CreateProcessor, RowFormat } from '../processor/processor.ts'

export type BuiltInProcessor = { load: () => Promise<CreateProcessor>; formats: readonly RowFormat[] }

const builtInProcessors: Readonly<Record<string, BuiltInProcessor>> = {
  eap_items: {
    load: async () => (await import('./eap/eap-items.ts')).createEapItems,
    formats: ['JSONEachRow', 'RowBinary'],
  },
  errors: {
    load: async () => (await import('./errors/errors.ts')).createErrorsProcessor,
    formats: ['JSONEachRow'],
  },
  functions: {
    load: async () => (await import('./profiles/functions.ts')).createFunctions,
    formats: ['JSONEachRow'],
  },
  generic_metrics_counters: {
    load: async () => (await import('./metrics/generic-counters.ts')).createGenericCounters,
    formats: ['JSONEachRow', 'Native'],
  },
  group_attributes: {
    load: async () => (await import('./groups/group-attributes.ts')).createGroupAttributes,
    formats: ['JSONEachRow'],
  },
  groupassignees: {
    load: async () => (await import('./cdc/cdc.ts')).createGroupAssignees,
    formats: ['JSONEachRow'],
  },
  groupedmessages: {
    load: async () => (await import('./cdc/cdc.ts')).createGroupedMessages,
    formats: ['JSONEachRow'],
  },
  llm_proxy_cost: {
    load: async () => (await import('./outcomes/llm-proxy-cost.ts')).createLlmProxyCost,
    formats: ['JSONEachRow', 'Native'],
  },
  metrics: {
    load: async () => (await import('./metrics/metrics.ts')).createMetrics,
    formats: ['JSONEachRow', 'Native'],
  },
  outcomes: {
    load: async () => (await import('./outcomes/outcomes.ts')).createOutcomes,
    formats: ['JSONEachRow', 'Native'],
  },
  profile_chunks: {
    load: async () => (await import('./profiles/profile-chunks.ts')).createProfileChunks,
    formats: ['JSONEachRow'],
  },
  profiles: {
    load: async () => (await import('./profiles/profiles.ts')).createProfiles,
    formats: ['JSONEachRow'],
  },
  querylog: {
    load: async () => (await import('./querylog/querylog.ts')).createQuerylog,
    formats: ['JSONEachRow'],
  },
  ready_distinct_id: {
    load: async () => (await import('./ready/ready.ts')).createReadyDistinctId,
    formats: ['JSONEachRow'],
  },
  ready_row: {
    load: async () => (await import('./ready/ready.ts')).createReadyRow,
    formats: ['JSONEachRow'],
  },
  replays: {
    load: async () => (await import('./replays/replays.ts')).createReplays,
    formats: ['JSONEachRow'],
  },
  search_issues: {
    load: async () => (await import('./search-issues/search-issues.ts')).createSearchIssuesProcessor,
    formats: ['JSONEachRow'],
  },
  transactions: {
    load: async () => (await import('./transactions/transactions.ts')).createTransactionsProcessor,
    formats: ['JSONEachRow'],
  },
}

export function findBuiltInProcessor(name: string): BuiltInProcessor | undefined {
  return Object.hasOwn(builtInProcessors, name) ? builtInProcessors[name] : undefined
}

export async function loadBuiltInProcessor(name: string): Promise<CreateProcessor | undefined> {
  return await findBuiltInProcessor(name)?.load()
}

export function builtInProcessorNames(): string[] {
  return Object.keys(builtInProcessors).toSorted()
}
