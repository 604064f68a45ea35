#!lua flags=allow-oom
--[[
  deleteJob: remove the object at once (Background); the hot state stays as a tombstone until the
  last pod ended.

  Caller   sdk, server, garbage collection

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  zset    <tag>:jobs:names
  KEYS[6]  hash    <tag>:jobs:uids
  KEYS[7]  hash    <tag>:job:<uid>
  KEYS[8]  string  <tag>:job:<uid>:hot
  KEYS[9]  stream  <tag>:watch

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string: the precondition, as found by the caller under the name

  Returns   1  DELETED
           -1  NOT_FOUND  no such Job, or deleted before

  O(log n). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
-- @include hot
-- @include watch
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid = ARGV[3]
local job = redis.call('HMGET', KEYS[7], 'namespace', 'name', 'deleted')
if not job[1] or job[3] == '1' then return -1 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
local path = job[1] .. '/' .. job[2]
redis.call('ZREM', KEYS[5], path)
redis.call('HDEL', KEYS[6], path)
redis.call('HSET', KEYS[7], 'deleted', 1, 'rv', string.format('%.0f', rv))
local hot = readHot(KEYS[8])
hot.limit = 0
hot.decisionVersion = hot.decisionVersion + 1
writeHot(KEYS[8], hot)
tellJob(KEYS[9], rv, 'DELETED', uid, job[1], job[2])
trigger(due, 'job:' .. uid, now, now)
return 1
