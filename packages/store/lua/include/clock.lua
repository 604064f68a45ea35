-- Redis' clock in ms, never behind what the shard has seen. `override` is a test's clock, or ''.
-- `last`, the shard's last resourceVersion, is ms * 4096 or more, so it is also the last time seen.
local function timeAfter(last, override)
  local now
  if override ~= '' then
    now = tonumber(override)
  else
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return math.max(now, math.floor(last / 4096))
end

-- The resourceVersion after `last`: an integer below 2^53, rising, near ms * 4096.
local function versionAfter(last, nowMs)
  return math.max(last + 1, nowMs * 4096)
end

local function readClock(clockKey, override)
  local last = tonumber(redis.call('GET', clockKey) or 0)
  return timeAfter(last, override), last
end

local function nextResourceVersion(clockKey, nowMs)
  local version = versionAfter(tonumber(redis.call('GET', clockKey) or 0), nowMs)
  redis.call('SET', clockKey, version)
  return version
end
