#!lua flags=allow-oom
--[[
  doneDue: give a taken member back with the time of its next look.

  Caller   controller

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  hash  <tag>:due:counts

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  member       string
  ARGV[4]  token        as given to takeDue
  ARGV[5]  count        triggers as answered by takeDue
  ARGV[6]  nextAtMs     ms since the epoch, or '' for never

  Returns   1  DONE
            2  AGAIN     it was triggered meanwhile and is due now
            0  REPLAYED  not taken with this token (any more)

  O(log n). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
local member = ARGV[3]
local taken = redis.call('HGET', KEYS[3], member)
if not taken or string.match(taken, '^(.*):%d+$') ~= ARGV[4] then return 0 end

redis.call('HDEL', KEYS[3], member)
if (redis.call('HGET', KEYS[4], member) or '0') ~= ARGV[5] then
  schedule(KEYS[2], ARGV[2], member, readClock(KEYS[1], ARGV[1]))
  return 2
end
if ARGV[6] == '' then
  redis.call('ZREM', KEYS[2], member)
  redis.call('HDEL', KEYS[4], member)
else
  schedule(KEYS[2], ARGV[2], member, tonumber(ARGV[6]))
end
return 1
