#!lua flags=no-writes
--[[
  observeJob: one atomic look at all that a decision needs.

  Caller   controller

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash  <tag>:job:<uid>
  KEYS[3]  string  <tag>:job:<uid>:hot
  KEYS[4]  hash  <tag>:job:<uid>:unjudged   pod number to packed record
  KEYS[5]  hash  <tag>:job:<uid>:losses     index to losses in a row
  KEYS[6]  zset  <tag>:job:<uid>:pending    slot, scored by pod number
  KEYS[7]  hash  <tag>:lanes                fitting key to lanes of live workers
  KEYS[8]  hash  <tag>:queues               queue to unfinished Jobs with slots

  ARGV[1]  nowMs    test clock, or ''
  ARGV[2]  pending  how many Pending slots to name, 0..1000

  Returns  nil when there is no such Job (any more), else
           {nowMs, job fields, packed hot state, {pod, record, losses, ...}, {slot, ...}, pendingCount, lanes, jobsOnQueue}

  At most 500 unjudged pods; O(500 + pending). Writes nothing, so it runs when memory is full too: a Job's
  deletion, which frees some, begins with it. One hash tag.
]]
-- @include clock
-- @include record
local job = redis.call('HGETALL', KEYS[2])
if #job == 0 then return nil end
local hot = redis.call('GET', KEYS[3])
-- What is left of a purged Job is a mark, see purgeJob.
if not hot then return nil end
local fitting = redis.call('HMGET', KEYS[2], 'fittingKey', 'queue')

local flat
if redis.call('HLEN', KEYS[4]) <= 500 then
  flat = redis.call('HGETALL', KEYS[4])
else
  flat = redis.call('HSCAN', KEYS[4], '0', 'COUNT', 400)[2]
end
local unjudged = {}
for i = 1, math.min(#flat, 1000), 2 do
  local index = struct.unpack('>I4', flat[i + 1])
  unjudged[#unjudged + 1] = flat[i]
  unjudged[#unjudged + 1] = flat[i + 1]
  unjudged[#unjudged + 1] = redis.call('HGET', KEYS[5], string.format('%.0f', index)) or '0'
end

local pending = {}
if tonumber(ARGV[2]) > 0 then pending = redis.call('ZRANGE', KEYS[6], 0, tonumber(ARGV[2]) - 1) end
return {
  string.format('%.0f', (readClock(KEYS[1], ARGV[1]))),
  job,
  hot,
  unjudged,
  pending,
  redis.call('ZCARD', KEYS[6]),
  redis.call('HGET', KEYS[7], fitting[1]) or '0',
  redis.call('HGET', KEYS[8], fitting[2]) or '0',
}
