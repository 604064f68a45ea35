#!lua flags=allow-oom
--[[
  takeDue: take members that are due. A taken member is due again when the taking ends, so that a
  dead controller's members come back.

  Caller   controller

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken    member to <token>:<untilMs>
  KEYS[4]  hash  <tag>:due:counts   member to number of triggers

  ARGV[1]  nowMs   test clock, or ''
  ARGV[2]  max     integer, 1..100
  ARGV[3]  takeMs  how long the taking lasts, ms
  ARGV[4]  token   random, fresh for each call

  Returns  {nowMs, nextAtMs or '', member, count, member, count, ...}

  O(max log n). A repeated call takes other members; what a lost answer took comes back after takeMs. One hash tag.
]]
-- @include clock
local now = readClock(KEYS[1], ARGV[1])
local members = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))
local untilMs = string.format('%.0f', now + tonumber(ARGV[3]))
local reply = { string.format('%.0f', now), '' }
for _, member in ipairs(members) do
  redis.call('HSET', KEYS[3], member, ARGV[4] .. ':' .. untilMs)
  redis.call('ZADD', KEYS[2], untilMs, member)
  reply[#reply + 1] = member
  reply[#reply + 1] = redis.call('HGET', KEYS[4], member) or '0'
end
local head = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if head[2] then reply[2] = string.format('%.0f', tonumber(head[2])) end
return reply
