#!lua
--[[
  openSlots: open slots, each with its first pod Pending, as far as the gate allows.

  Caller   controller

  KEYS[1]  string  <tag>:clock
  KEYS[2]  string  <tag>:job:<uid>:hot
  KEYS[3]  hash    <tag>:job:<uid>:slots
  KEYS[4]  zset    <tag>:job:<uid>:pending
  KEYS[5]  zset    <tag>:job:<uid>:retry
  KEYS[6]  hash    <tag>:queues
  KEYS[7]  stream  <tag>:watch
  KEYS[8]  string  <tag>:watchers:pods
  KEYS[9]  hash    <tag>:job:<uid>

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  uid              string
  ARGV[3]  generation       that the decision was made from
  ARGV[4]  decisionVersion  that the decision was made from
  ARGV[5]  count            slots wanted, 1..500

  Returns  the numbers of the slots that were opened, or
           -1  MOVED  generation or decisionVersion changed
           -2  GONE   no such Job, or it is finished or deleted

  A second run opens only what the gate still allows: active pods are counted here, not by the caller.
  O(count). One hash tag. Refused when memory is full.
]]
-- @include clock
-- @include record
-- @include hot
-- @include watch
local hot = readHot(KEYS[2])
local job = redis.call('HMGET', KEYS[9], 'queue', 'finished', 'deleted')
if not hot or job[2] == '1' or job[3] == '1' then return -2 end
if hot.generation ~= tonumber(ARGV[3]) or hot.decisionVersion ~= tonumber(ARGV[4]) then return -1 end

local now = readClock(KEYS[1], ARGV[1])
local opened = {}
local firstPod = hot.podCount + 1
local rv
while #opened < tonumber(ARGV[5]) and mayStart(hot, now) do
  rv = rv or nextResourceVersion(KEYS[1], now)
  local slot = hot.nextSlot
  hot.nextSlot = slot + 1
  hot.podCount = hot.podCount + 1
  hot.active = hot.active + 1
  redis.call('HSET', KEYS[3], slot, struct.pack(SLOT, hot.podCount, takeIndex(hot, KEYS[5]), 0,
    PENDING, 0, 0, 0, NO_SESSION, now, 0, rv, 0))
  redis.call('ZADD', KEYS[4], hot.podCount, slot)
  opened[#opened + 1] = slot
end
if #opened == 0 then return opened end

if hot.onQueue == 0 then
  hot.onQueue = 1
  redis.call('HINCRBY', KEYS[6], job[1], 1)
end
writeHot(KEYS[2], hot)
tellPods(KEYS[7], KEYS[8], rv, ARGV[2], firstPod, hot.podCount)
return opened
