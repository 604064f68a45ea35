#!lua flags=allow-oom
--[[
  doneDue: give taken members back, each with the time of its next look.

  Caller   controller; the members that are done in one tick go together

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  hash  <tag>:due:counts

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  then for each member:
  ARGV[+1] member       string
  ARGV[+2] token        as given to takeDue
  ARGV[+3] count        triggers as answered by takeDue
  ARGV[+4] nextAtMs     ms since the epoch, or '' for never

  Returns a list, for each member in order
            1  DONE
            2  AGAIN     it was triggered meanwhile and is due now
            0  REPLAYED  not taken with this token (any more)

  O(members log n), at most 32 members. Safe to retry. One hash tag.
]]
-- @include clock
local members = {}
for i = 3, #ARGV, 4 do
  members[#members + 1] = ARGV[i]
end
local takings = redis.call('HMGET', KEYS[3], unpack(members))
local counts = redis.call('HMGET', KEYS[4], unpack(members))
local now = readClock(KEYS[1], ARGV[1])
local replies, scores, given, over = {}, {}, {}, {}
local earliest = math.huge

for position, member in ipairs(members) do
  local i = 4 * position - 1
  local taken = takings[position]
  -- Named twice: the second is a replay.
  if given[member] or not taken or string.match(taken, '^(.*):%d+$') ~= ARGV[i + 1] then
    replies[position] = 0
  else
    given[member] = true
    given[#given + 1] = member
    replies[position] = 1
    local nextAt = tonumber(ARGV[i + 3])
    if (counts[position] or '0') ~= ARGV[i + 2] then
      replies[position], nextAt = 2, now
    end
    if nextAt then
      scores[#scores + 1] = string.format('%.0f', nextAt)
      scores[#scores + 1] = member
      earliest = math.min(earliest, nextAt)
    else
      over[#over + 1] = member
    end
  end
end
if #given == 0 then return replies end

redis.call('HDEL', KEYS[3], unpack(given))
if #over > 0 then
  redis.call('ZREM', KEYS[2], unpack(over))
  redis.call('HDEL', KEYS[4], unpack(over))
end
if #scores > 0 then
  local head = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  redis.call('ZADD', KEYS[2], unpack(scores))
  if not head[2] or earliest < tonumber(head[2]) then
    redis.call('PUBLISH', ARGV[2], string.format('%.0f', earliest))
  end
end
return replies
