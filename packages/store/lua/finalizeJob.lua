#!lua flags=allow-oom
--[[
  finalizeJob: the controller has done what its finalizer of a Job stands for and takes it away. With the last one the
  Job's object is removed.

  Caller   controller

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   zset    <tag>:jobs:names
  KEYS[6]   hash    <tag>:jobs:uids
  KEYS[7]   hash    <tag>:job:<uid>
  KEYS[8]   string  <tag>:job:<uid>:hot
  KEYS[9]   stream  <tag>:watch
  KEYS[10]  zset    <tag>:owned
  KEYS[11]  zset    <tag>:jobs:orphaned
  KEYS[12]  hash    <tag>:queues
  KEYS[13]  zset    <tag>:kept
  KEYS[14]  zset    <tag>:kept:failed
  KEYS[15]  string  <tag>:kept:total

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string
  ARGV[4]  finalizer    foregroundDeletion: the records of its pods were removed by the caller; orphan: what belonged to
                        it does so no more

  Returns   1  DELETED    that was the last finalizer: the object is gone
            2  FINALIZED  others are left, or it has no such finalizer (any more)
           -1  NOT_FOUND  no such Job, or deleted before
           -3  BLOCKED    foregroundDeletion: pods have not ended, or something blocks its deletion

  O(log n). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
-- @include hot
-- @include watch
-- @include owners
-- @include removeJob
-- @include kept
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local keys = { names = KEYS[5], uids = KEYS[6], job = KEYS[7], hot = KEYS[8], watch = KEYS[9], owned = KEYS[10],
  orphaned = KEYS[11], queues = KEYS[12] }
local uid, finalizer = ARGV[3], ARGV[4]
local job = readJob(keys.job)
if not job then return -1 end

local rest, isFound = {}, false
for one in string.gmatch(job.finalizers, '%S+') do
  if one == finalizer then isFound = true else rest[#rest + 1] = one end
end
if not isFound or not job.deletionMs then return 2 end
local hot = readHot(keys.hot)
if finalizer == 'foregroundDeletion' then
  if hot.active > 0 or hot.terminating > 0 or hot.unjudged > 0 then return -3 end
  local blocking = redis.call('ZRANGEBYLEX', keys.owned, '[' .. uid .. '/1/', '(' .. uid .. '/10', 'LIMIT', 0, 1)
  if #blocking > 0 then return -3 end
  redis.call('HSET', keys.job, 'emptied', 1)
  if redis.call('HGET', keys.job, 'finished') == '1' then
    subtractKept({ jobs = KEYS[13], failed = KEYS[14], total = KEYS[15] }, uid, hot.kept, 0)
  end
  hot.kept = 0
  writeHot(keys.hot, hot)
else
  redis.call('HSET', keys.job, 'orphaned', 1)
  job.isOrphaned = true
end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
redis.call('HSET', keys.job, 'finalizers', table.concat(rest, ' '), 'rv', string.format('%.0f', rv))
if #rest == 0 then
  removeJob(due, keys, uid, job, hot, rv, now)
  return 1
end
tellJob(keys.watch, rv, 'MODIFIED', uid, job.namespace, job.name, job.isBare)
return 2
