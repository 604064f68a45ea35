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
if #members > 0 then
  local takings, scores = {}, {}
  for i, member in ipairs(members) do
    takings[2 * i - 1], takings[2 * i] = member, ARGV[4] .. ':' .. untilMs
    scores[2 * i - 1], scores[2 * i] = untilMs, member
  end
  redis.call('HSET', KEYS[3], unpack(takings))
  redis.call('ZADD', KEYS[2], unpack(scores))
  local counts = redis.call('HMGET', KEYS[4], unpack(members))
  for i, member in ipairs(members) do
    reply[2 * i + 1], reply[2 * i + 2] = member, counts[i] or '0'
  end
end
local head = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if head[2] then reply[2] = string.format('%.0f', tonumber(head[2])) end
return reply
