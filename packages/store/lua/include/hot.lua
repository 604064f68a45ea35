-- The numbers of a Job that claims and reports work on: one packed string, read once and written
-- once per script. packages/store/src/hot.ts is the other side.
local HOT_FIELDS = {
  'generation', 'decisionVersion', 'limit', 'notBeforeMs', 'deadlineMs', 'hold', 'completions',
  'active', 'running', 'terminating', 'succeeded', 'failed', 'limitFailures', 'unjudged', 'restarts',
  'podCount', 'nextSlot', 'cursor', 'retryCount', 'lossCount', 'foldAtMs', 'lastSuccessMs',
  'failuresInRow', 'lastFailureMs', 'onQueue', 'indexed',
}
local HOT = '>' .. string.rep('d', #HOT_FIELDS)

local function readHot(hotKey)
  local packed = redis.call('GET', hotKey)
  if not packed then return nil end
  local values = { struct.unpack(HOT, packed) }
  local hot = {}
  for i, field in ipairs(HOT_FIELDS) do
    hot[field] = values[i]
  end
  return hot
end

local function writeHot(hotKey, hot)
  local values = {}
  for i, field in ipairs(HOT_FIELDS) do
    values[i] = hot[field]
  end
  redis.call('SET', hotKey, struct.pack(HOT, unpack(values)))
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
