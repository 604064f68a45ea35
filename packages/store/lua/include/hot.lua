-- The numbers of a Job that claims and reports work on: one packed string, read once and written
-- once per script. packages/store/src/hot.ts is the other side.
local HOT = '>dddddddddddddddddddddddddd'

-- Named one by one, not in a loop: this is part of every report.
local function readHot(hotKey)
  local packed = redis.call('GET', hotKey)
  if not packed then return nil end
  local
    generation, decisionVersion, limit, notBeforeMs, deadlineMs, hold, completions, active, running,
    terminating, succeeded, failed, limitFailures, unjudged, restarts, podCount, nextSlot, cursor,
    retryCount, lossCount, foldAtMs, lastSuccessMs, failuresInRow, lastFailureMs, onQueue, indexed
    = struct.unpack(HOT, packed)
  return {
    generation = generation, decisionVersion = decisionVersion, limit = limit, notBeforeMs = notBeforeMs,
    deadlineMs = deadlineMs, hold = hold, completions = completions, active = active, running = running,
    terminating = terminating, succeeded = succeeded, failed = failed, limitFailures = limitFailures,
    unjudged = unjudged, restarts = restarts, podCount = podCount, nextSlot = nextSlot, cursor = cursor,
    retryCount = retryCount, lossCount = lossCount, foldAtMs = foldAtMs, lastSuccessMs = lastSuccessMs,
    failuresInRow = failuresInRow, lastFailureMs = lastFailureMs, onQueue = onQueue, indexed = indexed,
  }
end

local function writeHot(hotKey, hot)
  redis.call('SET', hotKey, struct.pack(HOT,
    hot.generation, hot.decisionVersion, hot.limit, hot.notBeforeMs, hot.deadlineMs, hot.hold,
    hot.completions, hot.active, hot.running, hot.terminating, hot.succeeded, hot.failed,
    hot.limitFailures, hot.unjudged, hot.restarts, hot.podCount, hot.nextSlot, hot.cursor, hot.retryCount,
    hot.lossCount, hot.foldAtMs, hot.lastSuccessMs, hot.failuresInRow, hot.lastFailureMs, hot.onQueue,
    hot.indexed))
end

-- Active pods that the Job may have at most, by its gate and what is left to do.
local function activeCap(hot)
  if hot.completions < 0 then return hot.succeeded > 0 and 0 or hot.limit end
  return math.min(hot.limit, hot.completions - hot.succeeded)
end

local function gateOpen(hot, nowMs)
  return hot.limit > 0
    and not (hot.hold == 1 and hot.unjudged > 0)
    and nowMs >= hot.notBeforeMs
    and (hot.deadlineMs == 0 or nowMs < hot.deadlineMs)
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
  if redis.call('ZADD', retryKey, index, index) == 1 then hot.retryCount = hot.retryCount + 1 end
end
