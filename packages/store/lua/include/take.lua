-- Takes members that are due, in the order of their times: {nowMs, nextAtMs or '', member, count, member, count, ...}.
local function takeMembers(due, now, max, takeMs, token)
  local members = redis.call('ZRANGEBYSCORE', due.set, '-inf', now, 'LIMIT', 0, max)
  local untilMs = string.format('%.0f', now + takeMs)
  local reply = { string.format('%.0f', now), '' }
  if #members > 0 then
    local takings, scores = {}, {}
    for i, member in ipairs(members) do
      takings[2 * i - 1], takings[2 * i] = member, token .. ':' .. untilMs
      scores[2 * i - 1], scores[2 * i] = untilMs, member
    end
    redis.call('HSET', due.taken, unpack(takings))
    redis.call('ZADD', due.set, unpack(scores))
    local counts = redis.call('HMGET', due.counts, unpack(members))
    for i, member in ipairs(members) do
      reply[2 * i + 1], reply[2 * i + 2] = member, counts[i] or '0'
    end
  end
  local head = redis.call('ZRANGE', due.set, 0, 0, 'WITHSCORES')
  if head[2] then reply[2] = string.format('%.0f', tonumber(head[2])) end
  return reply
end
