-- The events of a shard: fields of a hash, with their names and versions beside it.
-- Events of a shard that are kept at most, with their writers.
local MAX_EVENTS = 10000
-- An hour.
local DEFAULT_TTL_MS = 3600000

local function forgetEvents(keys, paths)
  if #paths == 0 then return end
  redis.call('HDEL', keys.events, unpack(paths))
  redis.call('ZREM', keys.names, unpack(paths))
  redis.call('ZREM', keys.versions, unpack(paths))
end

-- Forgets some of what is too old, and of too many; twice as many as may be new, so that it comes to an end.
local function forgetOldEvents(keys, now, ttlMs, count)
  local most = 2 * count + 20
  local oldest = string.format('%.0f', (now - ttlMs) * 4096)
  forgetEvents(keys, redis.call('ZRANGEBYSCORE', keys.versions, '-inf', oldest, 'LIMIT', 0, most))
  local excess = redis.call('ZCARD', keys.versions) - MAX_EVENTS
  if excess > 0 then forgetEvents(keys, redis.call('ZRANGE', keys.versions, 0, math.min(excess, most) - 1)) end
end

-- What comes last of all: the clock, the times at which the keys go, and the word that there is something new.
local function finishEvents(keys, now, rv, ttlMs, count, channel)
  redis.call('SET', keys.clock, string.format('%.0f', rv))
  forgetOldEvents(keys, now, ttlMs, count)
  for _, key in ipairs({ keys.events, keys.names, keys.versions }) do redis.call('PEXPIRE', key, ttlMs) end
  redis.call('PUBLISH', channel, string.format('%.0f', rv))
end
