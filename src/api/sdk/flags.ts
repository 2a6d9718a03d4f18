/**
 * `/flags`, `/decide` and the local-evaluation list, for projects that have no flags: the shapes of every
 * version that SDKs ask for, so that they are content. Source: PostHog's feature-flags service.
 */
import type { Random } from '../../ports/random.ts'
import { uuidV4 } from '../../std/uuid.ts'
import type { Project } from '../projects/projects.ts'
import { remoteConfig } from './remote-config.ts'

export type FlagsQuery = { endpoint: 'flags' | 'decide'; version: string | null; config: string | null }
export type FlagsAnswer = { status: number; contentType: string; body: string }

export function flagsVersion(query: FlagsQuery): { version: number; withConfig: boolean } {
  const isBare = (query.version ?? '') === '' && (query.config ?? '') === ''
  if (query.endpoint === 'flags' && isBare) return { version: 2, withConfig: true }
  const version = /^[1-9]\d{0,5}$/.test(query.version ?? '') ? Number(query.version) : 1
  const isAsked =
    query.config === null || query.config === ''
      ? query.endpoint === 'decide'
      : /^(true|1)$/i.test(query.config)
  return { version, withConfig: isAsked }
}

/** What a GET answers: no token is needed and nothing is evaluated. */
export function minimalFlags(query: FlagsQuery): Record<string, unknown> {
  const isV2 = flagsVersion(query).version >= 2
  return {
    ...(isV2 ? { flags: {} } : { featureFlags: {}, featureFlagPayloads: {} }),
    supportedCompression: ['gzip', 'gzip-js'],
    config: { enable_collect_everything: true },
    toolbarParams: {},
    isAuthenticated: false,
    sessionRecording: false,
  }
}

export function evaluatedFlags(
  query: FlagsQuery,
  context: { project: Project; random: Random; nowMs: number; requestId: string | undefined },
): Record<string, unknown> {
  const { version, withConfig } = flagsVersion(query)
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(context.requestId ?? '')
  return {
    ...emptyFlags(query.endpoint, version),
    errorsWhileComputingFlags: false,
    requestId: isUuid ? context.requestId : uuidV4(context.random.bytes(16)),
    evaluatedAt: context.nowMs,
    ...(withConfig ? remoteConfig(context.project) : {}),
  }
}

function emptyFlags(endpoint: 'flags' | 'decide', version: number): Record<string, unknown> {
  if (endpoint === 'decide') {
    if (version >= 4) return { flags: {} }
    if (version === 3) return { featureFlags: {}, featureFlagPayloads: {} }
    return { featureFlags: version === 2 ? {} : [] }
  }
  return version >= 2 ? { flags: {} } : { featureFlags: {}, featureFlagPayloads: {} }
}

/** The list that server SDKs poll to evaluate flags themselves. */
export const noFlagDefinitions = { flags: [], group_type_mapping: {}, cohorts: {} } as const
