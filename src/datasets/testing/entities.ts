/** Which storage the tests of a Snuba client mean: its entities and datasets by the storage that they write to. */

const storageByEntity: Readonly<Record<string, string>> = {
  discover_events: 'errors',
  discover_transactions: 'transactions',
  events: 'errors',
  eap_items: 'eap_items',
  functions: 'functions_raw',
  generic_metrics_counters: 'generic_metrics_counters_raw',
  group_attributes: 'group_attributes',
  groupassignee: 'groupassignees',
  groupedmessage: 'groupedmessages',
  llm_proxy_cost_raw: 'llm_proxy_cost_raw',
  metrics_counters: 'metrics_raw',
  metrics_distributions: 'metrics_raw',
  metrics_sets: 'metrics_raw',
  outcomes: 'outcomes_raw',
  outcomes_raw: 'outcomes_raw',
  profile_chunks: 'profile_chunks',
  profiles: 'profiles',
  querylog: 'querylog',
  replays: 'replays',
  search_issues: 'search_issues',
  transactions: 'transactions',
}

const entitiesByDataset: Readonly<Record<string, readonly string[]>> = {
  discover: ['discover_events', 'discover_transactions'],
  events: ['events'],
  events_analytics_platform: ['eap_items'],
  generic_metrics: ['generic_metrics_counters'],
  metrics: ['metrics_counters', 'metrics_distributions', 'metrics_sets'],
  outcomes: ['outcomes', 'llm_proxy_cost_raw'],
}

/** Name of the storage that an entity writes to; an entity without a name of its own is a storage. */
export function storageOfEntity(entity: string): string {
  return (Object.hasOwn(storageByEntity, entity) ? storageByEntity[entity] : undefined) ?? entity
}

/** Names of the storages behind a dataset. A dataset that is not known is an entity or a storage. */
export function storagesOfDataset(dataset: string): string[] {
  const entities = Object.hasOwn(entitiesByDataset, dataset) ? entitiesByDataset[dataset] : undefined
  return [...new Set((entities ?? [dataset]).map(storageOfEntity))]
}
