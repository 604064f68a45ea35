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
-- @include take
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4] }
return takeMembers(due, readClock(KEYS[1], ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4])
