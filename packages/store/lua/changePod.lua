#!lua
--[[
  changePod: replace labels and annotations of a pod of a Job, compare-and-set on its resourceVersion. One whose labels
  the Job does not select any more is released: it runs to its end and stays, but is nobody's, and the Job starts
  another one in its place, of the same index.

  Caller   sdk, server
  Source   the Job controller of Kubernetes, which gives its ownerReference up

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  hash    <tag>:job:<uid>
  KEYS[6]  string  <tag>:job:<uid>:hot
  KEYS[7]  hash    <tag>:job:<uid>:slots
  KEYS[8]  zset    <tag>:job:<uid>:retry
  KEYS[9]  hash    <tag>:job:<uid>:changed
  KEYS[10] hash    <tag>:job:<uid>:free
  KEYS[11] string  <tag>:job:<uid>:pods:<chunk>
  KEYS[12] zset    <tag>:jobs:changed
  KEYS[13] stream  <tag>:watch
  KEYS[14] string  <tag>:watchers:pods
  KEYS[15] hash    <tag>:job:<uid>:adopters

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  ARGV[3]  uid              string
  ARGV[4]  podNumber        integer
  ARGV[5]  slot             where the caller saw it, 0 = it had ended
  ARGV[6]  expectedVersion  resourceVersion that the change was made from, or '' for any
  ARGV[7]  change           JSON object: labels, annotations, managedFields
  ARGV[8]  isSelected       0 or 1: whether the Job selects these labels

  Returns   1  CHANGED
           -1  NOT_FOUND  no such pod, or its Job was deleted
           -2  CONFLICT   another write came first
           -3  PENDING    it would be released, but no worker has it yet
           -4  TOO_MANY   it would be released, but 200 released pods of the Job are there

  A pod that was told to stop is not released: what its end means is settled. Nor are those of a Job that is finished or
  being deleted. What was counted stays counted. Of a pod that is nobody's, or that another Job has adopted, a controller
  looks who selects it now. A second run with the same expectedVersion answers CONFLICT.
  O(length of change + log n). One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
local MOST_FREE = 200
local uid, podNumber, slot = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local job = redis.call('HMGET', KEYS[5], 'namespace', 'name', 'deleted', 'finished', 'deletionMs', 'orphaned')
local hot = readHot(KEYS[6])
if not hot or not job[1] or job[3] == '1' and job[6] ~= '1' then return -1 end

local packed = redis.call('HGET', KEYS[7], slot)
local present, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, version, asked
if packed then
  present, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, version, asked =
    struct.unpack(SLOT, packed)
end
local isHeld = present == podNumber
if not isHeld then
  local offset = podNumber % PODS_PER_CHUNK * POD_BYTES
  local record = redis.call('GETRANGE', KEYS[11], offset, offset + POD_BYTES - 1)
  if #record < POD_BYTES or string.byte(record, 19) == 0 then return -1 end
  version = select(8, struct.unpack(POD, record))
end
local before = redis.call('HGET', KEYS[9], podNumber)
if before then version = math.max(version, cjson.decode(before).resourceVersion) end
local adopter = redis.call('HGET', KEYS[15], podNumber)
if adopter then version = math.max(version, tonumber(string.match(adopter, '^%S+ %d+ (%d+)'))) end
if ARGV[6] ~= '' and tonumber(ARGV[6]) ~= version then return -2 end

local wasFree = redis.call('HEXISTS', KEYS[10], podNumber) == 1
local isReleased = ARGV[8] == '0' and not wasFree and job[4] ~= '1' and not job[5] and job[6] ~= '1'
  and not (isHeld and phase >= STOPPING)
if isReleased and isHeld and phase == PENDING then return -3 end
if isReleased and redis.call('HLEN', KEYS[10]) >= MOST_FREE then return -4 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
if isReleased then
  redis.call('HSET', KEYS[5], 'free', 1)
  redis.call('HSET', KEYS[10], podNumber, isHeld and slot or 0)
  if isHeld then
    redis.call('HSET', KEYS[7], slot, struct.pack(SLOT_HEAD, podNumber, index, previous, FREE, restarts, attempts, node,
      holder, createdMs, startMs, rv, asked) .. string.sub(packed, FAILURES_AT))
    hot.active, hot.running, hot.restarts = hot.active - 1, hot.running - 1, hot.restarts - restarts
    giveBackIndex(hot, KEYS[8], index)
  else
    hot.kept = hot.kept - 1
  end
  hot.decisionVersion = hot.decisionVersion + 1
  writeHot(KEYS[6], hot)
end
if isReleased or wasFree or job[6] == '1' then
  trigger({ set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }, 'job:' .. uid, now, now)
end
local own = string.format('{"resourceVersion":%.0f,"isFree":%s,', rv, tostring(isReleased or wasFree))
redis.call('HSET', KEYS[9], podNumber, own .. string.sub(ARGV[7], 2))
redis.call('HSET', KEYS[5], 'changed', string.format('%.0f', rv))
redis.call('ZADD', KEYS[12], 0, job[1] .. '/' .. job[2] .. '/' .. uid)
tellPods(KEYS[13], KEYS[14], rv, uid, podNumber, podNumber)
return 1
