#!lua flags=allow-oom
--[[
  deleteWorkQueue: remove a work queue and all that is kept of its items. The caller then removes
  BullMQ's queue, and a controller does so once more when nobody can be adding to it any more.

  Caller   sdk, cli

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   zset    <tag>:wq:names
  KEYS[6]   hash    <tag>:wq:uids
  KEYS[7]   hash    <tag>:wq:<uid>
  KEYS[8]   string  <tag>:wq:<uid>:settled
  KEYS[9]   stream  <tag>:wq:<uid>:outcomes
  KEYS[10]  hash    <tag>:wq:<uid>:dead
  KEYS[11]  hash    <tag>:wq:<uid>:losses
  KEYS[12]  hash    <tag>:wq:<uid>:keys
  KEYS[13]  hash    <tag>:wq:<uid>:batches
  KEYS[14]  zset    <tag>:wq:<uid>:open
  KEYS[15]  zset    <tag>:wq:<uid>:committed
  KEYS[16]  string  <tag>:wq:<uid>:abandoned
  KEYS[17]  hash    <tag>:wq:<uid>:retrying

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  doneChannel  of work queues
  ARGV[4]  uid          string
  ARGV[5]  cleanUpMs    when a controller is to remove what BullMQ has of it, from now

  Returns   1  DELETED
           -1  NOT_FOUND

  A mark in place of the work queue stays for ten minutes, so that a createWorkQueue that comes late is a replay and
  does not bring it back. O(log n); big keys are freed in the background. Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
local queue = redis.call('HMGET', KEYS[7], 'namespace', 'name')
if not queue[1] then return -1 end
local now = readClock(KEYS[1], ARGV[1])
nextResourceVersion(KEYS[1], now)
local path = queue[1] .. '/' .. queue[2]
redis.call('ZREM', KEYS[5], path)
redis.call('HDEL', KEYS[6], path)
redis.call('UNLINK', KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[16],
  KEYS[17])
redis.call('HSET', KEYS[7], 'deleted', 1)
redis.call('PEXPIRE', KEYS[7], 600000)
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
trigger(due, 'items:' .. ARGV[4], now + tonumber(ARGV[5]), now)
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
