import { openTestLog } from '../../../../test/support/embedded-log.ts'
import { exerciseLog } from '../../../ports/log.contract.ts'

exerciseLog('the embedded log', async (options) => {
  const small = options.smallSegments === true ? { segmentBytes: 16 * 1024, chunkBytesMax: 4096 } : {}
  return await openTestLog(small)
})
