import type { Project } from '../projects/projects.ts'

/** What a browser SDK is told about its project: the keys that posthog-js reads. */
export function remoteConfig(project: Project): Record<string, unknown> {
  return {
    token: project.apiToken,
    supportedCompression: ['gzip', 'gzip-js'],
    hasFeatureFlags: false,
    captureDeadClicks: project.captureDeadClicks,
    capturePerformance: false,
    autocapture_opt_out: project.autocaptureOptOut,
    autocaptureExceptions: project.autocaptureExceptionsOptIn ? { endpoint: '/e/' } : false,
    analytics: { endpoint: '/i/v0/e/' },
    elementsChainAsString: true,
    errorTracking: { autocaptureExceptions: project.autocaptureExceptionsOptIn, suppressionRules: [] },
    sessionRecording: project.sessionRecordingOptIn
      ? {
          endpoint: '/s/',
          consoleLogRecordingEnabled: project.captureConsoleLogOptIn,
          recorderVersion: 'v2',
          sampleRate: null,
          minimumDurationMilliseconds: null,
          linkedFlag: null,
          networkPayloadCapture: null,
          masking: null,
          urlTriggers: [],
          urlBlocklist: [],
          eventTriggers: [],
        }
      : false,
    surveys: false,
    heatmaps: project.heatmapsOptIn === true,
    defaultIdentifiedOnly: true,
    siteApps: [],
    toolbarParams: {},
    isAuthenticated: false,
  }
}

/** The script form: it leaves the config where posthog-js looks for it. */
export function remoteConfigScript(project: Project): string {
  const config = scriptSafe(remoteConfig(project))
  const token = scriptSafe(project.apiToken)
  return `(function(){window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};window._POSTHOG_REMOTE_CONFIG[${token}]={config:${config},siteApps:[]};})();\n`
}

function scriptSafe(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029')
}
