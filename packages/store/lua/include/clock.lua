-- Redis' clock in ms, never behind what the shard has seen. `override` is a test's clock, or ''.
local function readClock(metaKey, override)
  local now
  if override ~= '' then
    now = tonumber(override)
  else
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  local last = tonumber(redis.call('HGET', metaKey, 'lastMs') or 0)
  if now <= last then return last end
  redis.call('HSET', metaKey, 'lastMs', now)
  return now
end

-- The shard's next resourceVersion: an integer below 2^53, rising, near ms * 4096.
local function nextResourceVersion(metaKey, nowMs)
  local last = tonumber(redis.call('HGET', metaKey, 'rv') or 0)
  local version = math.max(last + 1, nowMs * 4096)
  redis.call('HSET', metaKey, 'rv', string.format('%.0f', version))
  return version
end
