-- Writes a member's score and wakes the controllers when it became the next one due. They are told which one it is if
-- it is due now: whoever takes it may look at it at once.
local function schedule(dueKey, wakeChannel, member, atMs, isNow)
  local head = redis.call('ZRANGE', dueKey, 0, 0, 'WITHSCORES')
  redis.call('ZADD', dueKey, atMs, member)
  if not head[2] or atMs < tonumber(head[2]) then
    redis.call('PUBLISH', wakeChannel, string.format(isNow and '%.0f %s' or '%.0f', atMs, member))
  end
end

-- Makes a member due at `atMs` at the latest. While a controller has it taken only the count
-- moves: `done` sees that and schedules it again.
local function trigger(due, member, atMs, nowMs)
  redis.call('HINCRBY', due.counts, member, 1)
  local taken = redis.call('HGET', due.taken, member)
  if taken and tonumber(string.match(taken, ':(%d+)$')) > nowMs then return end
  local score = redis.call('ZSCORE', due.set, member)
  if score and tonumber(score) <= atMs then return end
  schedule(due.set, due.wake, member, atMs, atMs <= nowMs)
end
