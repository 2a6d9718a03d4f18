import { createManualClock } from '../../../test/support/manual-clock.ts'
import { exerciseClock } from '../../ports/clock.contract.ts'
import { createSystemClock } from './clock.ts'

exerciseClock('system clock', () => {
  const clock = createSystemClock()
  return { clock, pass: (ms) => clock.sleep(ms + 1) }
})

exerciseClock('manual clock', () => {
  const clock = createManualClock()
  return { clock, pass: (ms) => clock.advance(ms) }
})
