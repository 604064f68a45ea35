-- Scores of `retry` from here on are times, below are indexes that may be tried at once.
local FIRST_TIME = 4294967296
-- Most indexes whose time has come that one script moves: bounds its time.
local MAX_READY = 500

-- A retry that has to wait for its back-off.
local function delayIndex(hot, retryKey, index, atMs)
  if hot.completions >= 0 and index >= hot.completions then return end
  redis.call('ZADD', retryKey, atMs, index)
end

-- Lets indexes whose back-off is over be tried again, the longest waiting first.
local function releaseIndexes(hot, retryKey, now)
  local ready = redis.call('ZRANGEBYSCORE', retryKey, FIRST_TIME, now, 'LIMIT', 0, MAX_READY)
  if #ready == 0 then return end
  local scored = {}
  for i, index in ipairs(ready) do scored[2 * i - 1], scored[2 * i] = index, index end
  redis.call('ZADD', retryKey, unpack(scored))
  hot.retryCount = hot.retryCount + #ready
end

local function failIndex(index, lossesKey, failedKey)
  redis.call('HDEL', lossesKey, 'f' .. index)
  if redis.call('SETBIT', failedKey, index, 1) == 0 then redis.call('HINCRBY', lossesKey, 'failed', 1) end
end

-- Counts failed pods by the controller's verdicts, gives their indexes back and sets the gate, from the arguments at
-- `at`: limit, notBeforeMs, deadlineMs, rules, failuresInRow, lastFailureMs, number of pods, then for each of them
-- podNumber, verdict, countsToLimit, retryAtMs (0 = at once), failures (of its index, packed, or ''). `perIndex` has
-- the keys `losses` and `failed` and the time, with the rule PER_INDEX. Answers where the arguments go on.
local function applyVerdicts(at, hot, unjudgedKey, retryKey, perIndex)
  local last = at + 6 + 5 * ARGV[at + 6]
  for i = at + 7, last, 5 do
    local record = redis.call('HGET', unjudgedKey, ARGV[i])
    if record then
      local verdict, index = ARGV[i + 1], (struct.unpack('>I4', record))
      redis.call('HDEL', unjudgedKey, ARGV[i])
      hot.unjudged = hot.unjudged - 1
      if verdict ~= 'ignored' then hot.failed = hot.failed + 1 end
      if ARGV[i + 2] == '1' then hot.limitFailures = hot.limitFailures + 1 end
      if verdict == 'indexFailed' then
        failIndex(string.format('%.0f', index), perIndex.losses, perIndex.failed)
      else
        if ARGV[i + 4] ~= '' then
          redis.call('HSET', perIndex.losses, 'f' .. string.format('%.0f', index), ARGV[i + 4])
        end
        if ARGV[i + 3] == '0' then
          giveBackIndex(hot, retryKey, index)
        else
          delayIndex(hot, retryKey, index, ARGV[i + 3])
        end
      end
    end
  end
  hot.limit, hot.notBeforeMs = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  hot.deadlineMs, hot.rules = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  hot.failuresInRow, hot.lastFailureMs = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  hot.decisionVersion = hot.decisionVersion + 1
  if perIndex then releaseIndexes(hot, retryKey, perIndex.now) end
  return last + 1
end
