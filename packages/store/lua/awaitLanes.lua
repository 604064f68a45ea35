#!lua flags=allow-oom
--[[
  awaitLanes: note that a Job has Pending pods for which no lane is free, so that a worker that
  registers makes it due.

  Caller   controller

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  hash  <tag>:due:counts
  KEYS[5]  hash  <tag>:lanes
  KEYS[6]  set   <tag>:waiting
  KEYS[7]  zset  <tag>:capacity

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string
  ARGV[4]  fittingKey   string
  ARGV[5]  knownLanes   lanes as observed

  Returns   1  WAITING
            0  CHANGED  lanes came meanwhile; the Job is due at once

  O(1), or O(sessions) when its pods request something. Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
-- @include lanes
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
redis.call('SADD', KEYS[6], ARGV[3])
if countLanes(KEYS[5], KEYS[7], ARGV[4]) <= tonumber(ARGV[5]) then return 1 end
local now = readClock(KEYS[1], ARGV[1])
trigger(due, 'job:' .. ARGV[3], now, now)
return 0
