import { isRecord } from '../entities/jsonb.ts'
import type { IncomingEvent } from '../incoming-event.ts'
import { type EventWarning, isWarningType, mayCaptureName } from '../warnings/register.ts'
import { eachEvent, endEvent, type Step, warn } from '../work.ts'

const messageLengthMax = 1000

/** Exit: drop `client_warning`: an SDK or capture speaks of other events. It becomes a warning and no row. */
export function createClientWarningStep(): Step {
  return eachEvent('client_warning', (work, event) => {
    if (event.event !== '$$client_ingestion_warning') return
    warn(work, event, readClientWarning(event))
    endEvent(work, event, { kind: 'drop', reason: 'client_warning' })
  })
}

/**
 * The route is public, so a type that only a part of the server may name is not believed: such an event
 * counts as an SDK's own words. Capture's types are throttled like any other.
 */
export function readClientWarning(
  event: Pick<IncomingEvent, 'uuid' | 'distinctId' | 'event' | 'properties'>,
): EventWarning {
  const { properties, uuid: eventUuid, distinctId } = event
  const type = properties.$$client_ingestion_warning_type
  if (isWarningType(type) && mayCaptureName(type)) {
    const { pipelineStep, ...said } = detailsOf(properties.$$client_ingestion_warning_details)
    return {
      type,
      details: { eventUuid, distinctId, ...said },
      pipelineStep: typeof pipelineStep === 'string' ? pipelineStep.slice(0, 100) : undefined,
      source: 'capture',
    }
  }
  const message = properties.$$client_ingestion_warning_message
  return {
    type: 'client_ingestion_warning',
    details: {
      eventUuid,
      event: event.event,
      distinctId,
      message: typeof message === 'string' ? message.slice(0, messageLengthMax).toWellFormed() : message,
    },
    pipelineStep: 'client-emit',
    isAlwaysSent: true,
  }
}

function detailsOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}
