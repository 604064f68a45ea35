#!lua flags=allow-oom
--[[
  deleteWorkQueue: remove a work queue and all that is kept of its items. The caller then removes
  BullMQ's queue.

  Caller   sdk, cli

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:wq:names
  KEYS[3]   hash    <tag>:wq:uids
  KEYS[4]   hash    <tag>:wq:<uid>
  KEYS[5]   string  <tag>:wq:<uid>:settled
  KEYS[6]   stream  <tag>:wq:<uid>:outcomes
  KEYS[7]   hash    <tag>:wq:<uid>:dead
  KEYS[8]   hash    <tag>:wq:<uid>:losses
  KEYS[9]   hash    <tag>:wq:<uid>:keys
  KEYS[10]  hash    <tag>:wq:<uid>:batches
  KEYS[11]  zset    <tag>:wq:<uid>:open
  KEYS[12]  zset    <tag>:wq:<uid>:committed
  KEYS[13]  string  <tag>:wq:<uid>:abandoned

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  of work queues
  ARGV[3]  uid          string

  Returns   1  DELETED
           -1  NOT_FOUND

  O(log n); big keys are freed in the background. Safe to retry. One hash tag.
]]
-- @include clock
local queue = redis.call('HMGET', KEYS[4], 'namespace', 'name')
if not queue[1] then return -1 end
nextResourceVersion(KEYS[1], readClock(KEYS[1], ARGV[1]))
local path = queue[1] .. '/' .. queue[2]
redis.call('ZREM', KEYS[2], path)
redis.call('HDEL', KEYS[3], path)
redis.call('UNLINK', KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
