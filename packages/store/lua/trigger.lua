#!lua flags=allow-oom
--[[
  trigger: make a member of the due set due at a time at the latest.

  Caller   sdk, server, controller

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  hash  <tag>:due:counts

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  member       job:<uid> or session:<id>
  ARGV[4]  atMs         ms since the epoch, or '' for now

  Returns   1  TRIGGERED

  O(log n). Safe to retry: a second trigger causes at most one look more. One hash tag.
]]
-- @include clock
-- @include due
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local now = readClock(KEYS[1], ARGV[1])
trigger(due, ARGV[3], ARGV[4] == '' and now or tonumber(ARGV[4]), now)
return 1
