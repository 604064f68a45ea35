#!lua
--[[
  updateJob: replace the object of a Job, compare-and-set on its resourceVersion, and make it due. That of a Job which
  waits for its finalizers is removed when it has no more of them.

  Caller   sdk, server; controller (owners that are gone)

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   hash    <tag>:job:<uid>
  KEYS[6]   string  <tag>:job:<uid>:hot
  KEYS[7]   stream  <tag>:watch
  KEYS[8]   hash    <tag>:queues
  KEYS[9]   zset    <tag>:jobs:names
  KEYS[10]  hash    <tag>:jobs:uids
  KEYS[11]  zset    <tag>:owned
  KEYS[12]  zset    <tag>:jobs:orphaned

  ARGV[1]   nowMs            test clock, or ''
  ARGV[2]   wakeChannel      string
  ARGV[3]   uid              string
  ARGV[4]   expectedVersion  resourceVersion that the change was made from, or '' for any
  ARGV[5]   object           JSON of metadata and spec
  ARGV[6]   specChanged      0 or 1; 1 bumps generation and decisionVersion
  ARGV[7]   completions      integer, -1 = unset
  ARGV[8]   queue            string
  ARGV[9]   fittingKey       string
  ARGV[10]  finalizers       apart by spaces; '=' = as they are
  ARGV[11]  owners           as in the field of the Job; '=' = as they are
  ARGV[12]  share            what a pod takes of quota, see quota.lua; '=' = as it is
  ARGV[13]  mostActive       pods that the changed spec allows at once, 0 = suspended; -1 = not said

  Returns   1  UPDATED
            2  DELETED    it waited for its finalizers and has no more of them
           -1  NOT_FOUND  no such Job, or deleted
           -2  CONFLICT   another write came first

  A second run with the same expectedVersion answers CONFLICT; nothing is written twice. O(1). One hash tag.
]]
-- @include clock
-- @include due
-- @include hot
-- @include watch
-- @include owners
-- @include removeJob
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local keys = { names = KEYS[9], uids = KEYS[10], job = KEYS[5], hot = KEYS[6], watch = KEYS[7], owned = KEYS[11],
  orphaned = KEYS[12], queues = KEYS[8] }
local uid = ARGV[3]
local job = readJob(keys.job)
if not job then return -1 end
if ARGV[4] ~= '' and ARGV[4] ~= job.rv then return -2 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
local finalizers = ARGV[10] == '=' and job.finalizers or ARGV[10]
local owners = ARGV[11] == '=' and job.owners or ARGV[11]
redis.call('HSET', keys.job, 'object', ARGV[5], 'rv', string.format('%.0f', rv), 'queue', ARGV[8],
  'fittingKey', ARGV[9], 'finalizers', finalizers, 'owners', owners)
if ARGV[12] == '' then
  redis.call('HDEL', keys.job, 'share')
elseif ARGV[12] ~= '=' then
  redis.call('HSET', keys.job, 'share', ARGV[12])
end
setOwners(due, keys.owned, 'job:' .. uid, job.namespace, job.owners, owners, now)
if job.deletionMs and finalizers == '' then
  job.owners = owners
  removeJob(due, keys, uid, job, readHot(keys.hot), rv, now)
  return 2
end
if ARGV[6] == '1' then
  local hot = readHot(keys.hot)
  hot.generation = redis.call('HINCRBY', keys.job, 'generation', 1)
  hot.decisionVersion = hot.decisionVersion + 1
  -- Holds from the answer on, whether a controller runs or not. What is more is stopped by one, and a gate opened.
  local mostActive = tonumber(ARGV[13])
  if mostActive >= 0 then hot.limit = math.min(hot.limit, mostActive) end
  -- An Indexed Job gets another number by resizeJob.
  if hot.indexed ~= 1 then hot.completions = tonumber(ARGV[7]) end
  -- A suspended Job may choose another pool: its next slots are opened and counted there.
  if hot.onQueue == 1 and job.queue ~= ARGV[8] then
    hot.onQueue = 0
    redis.call('HINCRBY', keys.queues, job.queue, -1)
  end
  writeHot(keys.hot, hot)
end
tellJob(keys.watch, rv, 'MODIFIED', uid, job.namespace, job.name, job.isBare)
trigger(due, 'job:' .. uid, now, now)
return 1
