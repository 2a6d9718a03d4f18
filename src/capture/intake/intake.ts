/**
 * What the routes of capture beside v0 share: who they are told a client is, and beside this file how they read
 * a token, unpack a body, find raw JSON and bring events onto the log.
 */
import type { CaptureConfig } from '../config.ts'
import type { GatewayConfig } from '../gateway/gateway.ts'

/** The part of capture's settings that every route needs. */
export type IntakeConfig = Pick<
  CaptureConfig,
  'trustProxy' | 'retryAfterS' | 'messageBytesMax' | 'warnings'
> &
  GatewayConfig
