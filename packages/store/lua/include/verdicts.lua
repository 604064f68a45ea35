-- Counts failed pods by the controller's verdicts, gives their indexes back and sets the gate, from the arguments at
-- `at`: limit, notBeforeMs, deadlineMs, hold, failuresInRow, lastFailureMs, number of pods, then for each of them
-- podNumber, verdict, countsToLimit. Answers where the arguments go on.
local function applyVerdicts(at, hot, unjudgedKey, retryKey)
  local last = at + 6 + 3 * ARGV[at + 6]
  for i = at + 7, last, 3 do
    local record = redis.call('HGET', unjudgedKey, ARGV[i])
    if record then
      local verdict = ARGV[i + 1]
      redis.call('HDEL', unjudgedKey, ARGV[i])
      hot.unjudged = hot.unjudged - 1
      if verdict ~= 'ignored' then hot.failed = hot.failed + 1 end
      if ARGV[i + 2] == '1' then hot.limitFailures = hot.limitFailures + 1 end
      if verdict ~= 'indexFailed' then
        giveBackIndex(hot, retryKey, (struct.unpack('>I4', record)))
      end
    end
  end
  hot.limit, hot.notBeforeMs = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  hot.deadlineMs, hot.hold = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  hot.failuresInRow, hot.lastFailureMs = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  hot.decisionVersion = hot.decisionVersion + 1
  return last + 1
end
