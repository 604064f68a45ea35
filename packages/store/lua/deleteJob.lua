#!lua flags=allow-oom
--[[
  deleteJob: ask for the end of a Job. Without finalizers its object is removed at once, and its hot state stays as a
  tombstone until the last pod ended; else it stays, marked, until its finalizers are taken away.

  Caller   sdk, server; controller (ttlSecondsAfterFinished, garbage collection)
  Source   the propagation policies of Kubernetes, which are two finalizers of the Job

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

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  ARGV[3]  uid              string: the precondition, as found by the caller under the name
  ARGV[4]  expectedVersion  resourceVersion that the Job must have, or '' for any
  ARGV[5]  policy           Background, Foreground, Orphan; '' = as its finalizers say, else Background

  Returns   1  DELETED    the object is gone
            2  DELETING   it waits for its finalizers; also when it did so before
           -1  NOT_FOUND  no such Job, or deleted before
           -2  CONFLICT   it has another resourceVersion

  From then on no pod is started; what becomes of those that run says the policy. O(log n). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
-- @include hot
-- @include watch
-- @include owners
-- @include removeJob
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local keys = { names = KEYS[5], uids = KEYS[6], job = KEYS[7], hot = KEYS[8], watch = KEYS[9], owned = KEYS[10],
  orphaned = KEYS[11], queues = KEYS[12] }
local uid, policy = ARGV[3], ARGV[5]
local job = readJob(keys.job)
if not job then return -1 end
if ARGV[4] ~= '' and ARGV[4] ~= job.rv then return -2 end

local wanted = { Foreground = 'foregroundDeletion', Orphan = 'orphan' }
local finalizers = {}
for finalizer in string.gmatch(job.finalizers, '%S+') do
  local isPolicy = finalizer == wanted.Foreground or finalizer == wanted.Orphan
  if policy == '' or not isPolicy then finalizers[#finalizers + 1] = finalizer end
end
finalizers[#finalizers + 1] = wanted[policy]
local after = table.concat(finalizers, ' ')
if after ~= '' and after == job.finalizers and job.deletionMs then return 2 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
local hot = readHot(keys.hot)
if after == '' then
  removeJob(due, keys, uid, job, hot, rv, now)
  return 1
end
redis.call('HSET', keys.job, 'finalizers', after, 'deletionMs', job.deletionMs or string.format('%.0f', now),
  'rv', string.format('%.0f', rv))
hot.limit = 0
hot.decisionVersion = hot.decisionVersion + 1
writeHot(keys.hot, hot)
tellJob(keys.watch, rv, 'MODIFIED', uid, job.namespace, job.name, job.isBare)
trigger(due, 'job:' .. uid, now, now)
return 2
