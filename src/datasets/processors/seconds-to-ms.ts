/** Seconds beyond this are no time that Snuba's processors know (the year 262142). */
const secondsMax = 8_210_266_876_799

/** Seconds since 1970 in ms, `undefined` where they are no time. */
export function timeMs(seconds: number): number | undefined {
  return Math.abs(seconds) <= secondsMax ? seconds * 1000 : undefined
}
