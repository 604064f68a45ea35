-- How adopted pods count for their Job.
-- What an adopted pod is called among those that wait for their verdict: no pod of the Job's own has such a number.
local ADOPTED_FROM = 2147483648
-- Of a pod that has none, and of Jobs that are not Indexed.
local NO_INDEX = 4294967295

-- Takes an index out of those that the Job hands out, whichever was meant to be the next. False: it runs, or is done, or
-- failed. Indexes before it that were never given out may be tried at once then.
local function takeThisIndex(hot, retryKey, index)
  if index < hot.cursor then
    local score = redis.call('ZSCORE', retryKey, index)
    if not score then return false end
    redis.call('ZREM', retryKey, index)
    -- Those with larger scores wait for their back-off.
    if tonumber(score) <= NO_INDEX then hot.retryCount = hot.retryCount - 1 end
    return true
  end
  local skipped = {}
  for one = hot.cursor, index - 1 do
    skipped[#skipped + 1] = one
    skipped[#skipped + 1] = one
  end
  for i = 1, #skipped, 1000 do redis.call('ZADD', retryKey, unpack(skipped, i, math.min(i + 999, #skipped))) end
  hot.retryCount, hot.cursor = hot.retryCount + #skipped / 2, index + 1
  return true
end

-- Counts an adopted pod by the record that its host keeps of it: a failed one waits for its verdict, as all do.
local function countAdopted(hot, keys, number, index, record)
  local flags = string.byte(record, 19)
  if flags % 2 == FLAG_FAILED then
    redis.call('HSET', keys.unjudged, string.format('%.0f', ADOPTED_FROM + number),
      struct.pack('>I4', index) .. string.sub(record, 5))
    hot.unjudged = hot.unjudged + 1
    local reason = string.byte(record, 20)
    local isLoss = reason == REASON_NODE_LOST or reason == REASON_DRAINED or reason == REASON_ROLLED_BACK
    if isLoss and index ~= NO_INDEX then
      if redis.call('HINCRBY', keys.losses, index, 1) == 1 then hot.lossCount = hot.lossCount + 1 end
    elseif not isLoss and reason ~= REASON_DELETED then
      hot.lossCount = hot.lossCount - redis.call('HDEL', keys.losses, index)
    end
    return
  end
  local _, _, startMs, durationMs = struct.unpack(POD, record)
  hot.lastSuccessMs = math.max(hot.lastSuccessMs, startMs + durationMs)
  if hot.indexed ~= 1 then
    hot.succeeded = hot.succeeded + 1
  elseif index < hot.completions then
    if redis.call('SETBIT', keys.done, index, 1) == 0 then hot.succeeded = hot.succeeded + 1 end
    hot.lossCount = hot.lossCount - redis.call('HDEL', keys.losses, index)
    redis.call('HDEL', keys.losses, 'f' .. string.format('%.0f', index))
  end
end
