-- Like a trigger of each member, now, with few calls and one wake-up for all of them.
local function triggerAll(due, members, nowMs)
  local counts = redis.call('HMGET', due.counts, unpack(members))
  local taken = redis.call('HMGET', due.taken, unpack(members))
  local counted, scores = {}, {}
  for i, member in ipairs(members) do
    counted[2 * i - 1] = member
    counted[2 * i] = tonumber(counts[i] or 0) + 1
    if not taken[i] or tonumber(string.match(taken[i], ':(%d+)$')) <= nowMs then
      scores[#scores + 1] = nowMs
      scores[#scores + 1] = member
    end
  end
  redis.call('HSET', due.counts, unpack(counted))
  if #scores == 0 then return end
  local head = redis.call('ZRANGE', due.set, 0, 0, 'WITHSCORES')
  redis.call('ZADD', due.set, 'LT', unpack(scores))
  if not head[2] or nowMs < tonumber(head[2]) then
    redis.call('PUBLISH', due.wake, string.format(#members == 1 and '%.0f %s' or '%.0f', nowMs, members[1]))
  end
end
