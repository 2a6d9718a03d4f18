/**
 * What takes more than one command, as scripts that Redis runs as one. Each has one key, so it runs in a
 * cluster too. They are short, and sent whole each time: a script that Redis has forgotten is no case then.
 * A time to live of `''` leaves that of the key as it is.
 */
const expire = "if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end"

/** Lua takes some thousands of values at a time. */
const valuesMax = 4000

/**
 * ARGV: time to live, amount. A sum that JavaScript cannot hold is refused and not written. The sum is answered
 * as a text, because the library rounds large numbers.
 */
export const incrementScript = `
local sum = redis.call('INCRBY', KEYS[1], ARGV[2])
if sum > 9007199254740991 or sum < -9007199254740991 then
  redis.call('DECRBY', KEYS[1], ARGV[2])
  return redis.error_reply('ERR value is not an integer or out of range')
end
${expire}
return string.format('%.0f', sum)`

const addAll = (command: string, step: number): string => `
local added = 0
for from = 2, #ARGV, ${step} do
  added = added + redis.call('${command}', KEYS[1], unpack(ARGV, from, math.min(from + ${step - 1}, #ARGV)))
end
${expire}
return added`

/** ARGV: time to live, members. */
export const setAddScript = addAll('SADD', valuesMax)

/** ARGV: time to live, then score and member in turn. */
export const sortedAddScript = addAll('ZADD', valuesMax)

/** ARGV: the holder's token, time to live. */
export const extendScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`

/** ARGV: the holder's token. */
export const releaseScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

/**
 * Publishes from the node of a cluster that has the channel's slot. A plain PUBLISH goes to any node, and
 * messages that take different ways through the cluster overtake each other. ARGV: the message.
 */
export const publishScript = "return redis.call('PUBLISH', KEYS[1], ARGV[1])"
