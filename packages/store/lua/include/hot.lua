-- @include gate

-- Named one by one, not in a loop: this is part of every report.
local function unpackHot(packed)
  local
    generation, decisionVersion, limit, notBeforeMs, deadlineMs, rules, completions, active, running,
    terminating, succeeded, failed, limitFailures, unjudged, restarts, podCount, nextSlot, cursor,
    retryCount, lossCount, foldAtMs, lastSuccessMs, failuresInRow, lastFailureMs, onQueue, indexed, kept
    = struct.unpack(HOT, packed)
  return {
    generation = generation, decisionVersion = decisionVersion, limit = limit, notBeforeMs = notBeforeMs,
    deadlineMs = deadlineMs, rules = rules, completions = completions, active = active, running = running,
    terminating = terminating, succeeded = succeeded, failed = failed, limitFailures = limitFailures,
    unjudged = unjudged, restarts = restarts, podCount = podCount, nextSlot = nextSlot, cursor = cursor,
    retryCount = retryCount, lossCount = lossCount, foldAtMs = foldAtMs, lastSuccessMs = lastSuccessMs,
    failuresInRow = failuresInRow, lastFailureMs = lastFailureMs, onQueue = onQueue, indexed = indexed,
    kept = kept,
  }
end

local function packHot(hot)
  return struct.pack(HOT,
    hot.generation, hot.decisionVersion, hot.limit, hot.notBeforeMs, hot.deadlineMs, hot.rules,
    hot.completions, hot.active, hot.running, hot.terminating, hot.succeeded, hot.failed,
    hot.limitFailures, hot.unjudged, hot.restarts, hot.podCount, hot.nextSlot, hot.cursor, hot.retryCount,
    hot.lossCount, hot.foldAtMs, hot.lastSuccessMs, hot.failuresInRow, hot.lastFailureMs, hot.onQueue,
    hot.indexed, hot.kept)
end

local function readHot(hotKey)
  local packed = redis.call('GET', hotKey)
  return packed and unpackHot(packed)
end

local function writeHot(hotKey, hot)
  redis.call('SET', hotKey, packHot(hot))
end

local function activeCap(hot)
  local cap = capOf(hot.limit, hot.completions, hot.succeeded)
  return bit.band(hot.rules, REPLACE_ENDED) == 0 and cap or cap - hot.terminating
end

local function gateOpen(hot, nowMs)
  return isGateOpen(hot.limit, hot.rules, hot.unjudged, hot.notBeforeMs, hot.deadlineMs, nowMs)
end

local function indexAvailable(hot)
  return hot.retryCount > 0 or hot.completions < 0 or hot.cursor < hot.completions
end

local function mayStart(hot, nowMs)
  return gateOpen(hot, nowMs) and hot.active < activeCap(hot) and indexAvailable(hot)
end

-- Lowest index that is to be tried again, else the next fresh one. Only after mayStart.
local function takeIndex(hot, retryKey)
  if hot.retryCount > 0 then
    hot.retryCount = hot.retryCount - 1
    return tonumber(redis.call('ZPOPMIN', retryKey)[1])
  end
  hot.cursor = hot.cursor + 1
  return hot.cursor - 1
end

local function giveBackIndex(hot, retryKey, index)
  if hot.completions >= 0 and index >= hot.completions then return end
  -- An adopted pod that has none, see adopted.lua.
  if index == 4294967295 then return end
  if redis.call('ZADD', retryKey, index, index) == 1 then hot.retryCount = hot.retryCount + 1 end
end
