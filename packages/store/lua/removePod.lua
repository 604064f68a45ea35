#!lua flags=allow-oom
--[[
  removePod: remove what is kept of a pod that ended: its record and overlay. The caller removes its log.

  Caller   sdk, server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  string  <tag>:job:<uid>:pods:<chunk>
  KEYS[3]  hash    <tag>:job:<uid>:overlay
  KEYS[4]  stream  <tag>:watch
  KEYS[5]  string  <tag>:watchers:pods
  KEYS[6]  zset    <tag>:due
  KEYS[7]  hash    <tag>:due:taken
  KEYS[8]  hash    <tag>:due:counts
  KEYS[9]  string  <tag>:job:<uid>:hot
  KEYS[10] zset    <tag>:owned
  KEYS[11] hash    <tag>:job:<uid>
  KEYS[12] zset    <tag>:kept
  KEYS[13] zset    <tag>:kept:failed
  KEYS[14] string  <tag>:kept:total
  KEYS[15] hash    <tag>:job:<uid>:changed
  KEYS[16] hash    <tag>:job:<uid>:free
  KEYS[17] hash    <tag>:job:<uid>:adopters

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string
  ARGV[4]  podNumber    integer
  ARGV[5]  podUid       string

  Returns   1  REMOVED
            0  NO_RECORD  there is none, or it was removed before
           -1  UNCOUNTED  the Job that has adopted it has not counted it yet: with tendAdopted, then again

  Counts do not depend on kept records. What belongs to the pod is looked at, and with the last record the Job: it may
  be one of which only pods were left. O(log n). Safe to retry. One hash tag.
]]
-- @include clock
-- @include record
-- @include watch
-- @include due
-- @include hot
-- @include owners
-- @include kept
local uid, podNumber = ARGV[3], tonumber(ARGV[4])
local offset = podNumber % PODS_PER_CHUNK * POD_BYTES
local record = redis.call('GETRANGE', KEYS[2], offset, offset + POD_BYTES - 1)
if #record < POD_BYTES or string.byte(record, 19) == 0 then return 0 end
local adopter = redis.call('HGET', KEYS[17], podNumber)
if adopter and string.match(adopter, '^%S+ %d+ %d+ (%d)') == '1' then return -1 end

redis.call('SETRANGE', KEYS[2], offset, string.rep('\0', POD_BYTES))
redis.call('HDEL', KEYS[3], podNumber)
redis.call('HDEL', KEYS[15], podNumber)
redis.call('HDEL', KEYS[17], podNumber)
local isFree = redis.call('HDEL', KEYS[16], podNumber) == 1 and redis.call('HGET', KEYS[11], 'free') == '1'
local now = readClock(KEYS[1], ARGV[1])
local due = { set = KEYS[6], taken = KEYS[7], counts = KEYS[8], wake = ARGV[2] }
local hot = readHot(KEYS[9])
-- One that the Job has released is not among those that it keeps.
if hot and not isFree then
  hot.kept = hot.kept - 1
  writeHot(KEYS[9], hot)
  if redis.call('HGET', KEYS[11], 'finished') == '1' then
    subtractKept({ jobs = KEYS[12], failed = KEYS[13], total = KEYS[14] }, uid, 1, hot.kept)
  end
  if hot.kept == 0 then trigger(due, 'job:' .. uid, now, now) end
end
if isOwner(KEYS[10], ARGV[5]) then trigger(due, 'gc:' .. ARGV[5], now, now) end
tellPods(KEYS[4], KEYS[5], nextResourceVersion(KEYS[1], now), uid, podNumber, podNumber)
return 1
