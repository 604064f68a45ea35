-- Redis' clock in ms, never behind what the shard has seen. `override` is a test's clock, or ''.
-- The shard's last resourceVersion is ms * 4096 or more, so it is also the last time seen.
local function readClock(clockKey, override)
  local last = tonumber(redis.call('GET', clockKey) or 0)
  local now
  if override ~= '' then
    now = tonumber(override)
  else
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return math.max(now, math.floor(last / 4096)), last
end

-- The shard's next resourceVersion: an integer below 2^53, rising, near ms * 4096.
local function nextResourceVersion(clockKey, nowMs)
  local last = tonumber(redis.call('GET', clockKey) or 0)
  local version = math.max(last + 1, nowMs * 4096)
  redis.call('SET', clockKey, version)
  return version
end
