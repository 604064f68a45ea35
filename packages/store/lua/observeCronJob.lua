#!lua flags=no-writes
--[[
  observeCronJob: one atomic look at a CronJob, with the time.

  Caller   controller, sdk

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:object:<kind>:<namespace>:<name>

  ARGV[1]  nowMs  test clock, or ''

  Returns  {nowMs, field, value, field, value, ...}; without fields when there is none

  O(fields). One hash tag.
]]
-- @include clock
local now = readClock(KEYS[1], ARGV[1])
local reply = redis.call('HGETALL', KEYS[2])
table.insert(reply, 1, string.format('%.0f', now))
return reply
