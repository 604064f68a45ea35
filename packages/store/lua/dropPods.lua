#!lua flags=allow-oom
--[[
  dropPods: make room by removing what is kept of pods that ended, the lowest numbers first. The caller removes their logs.

  Caller   controller

  KEYS[1]   string  <tag>:clock
  KEYS[2]   hash    <tag>:job:<uid>
  KEYS[3]   string  <tag>:job:<uid>:hot
  KEYS[4]   hash    <tag>:job:<uid>:overlay
  KEYS[5]   string  <tag>:job:<uid>:pods:<chunk>
  KEYS[6]   stream  <tag>:watch
  KEYS[7]   string  <tag>:watchers:pods
  KEYS[8]   zset    <tag>:kept              finished Jobs with pods that are kept
  KEYS[9]   zset    <tag>:kept:failed       those of which only failed ones are left
  KEYS[10]  string  <tag>:kept:total        how many pods these are
  KEYS[11]  hash    <tag>:job:<uid>:changed
  KEYS[12]  hash    <tag>:job:<uid>:free
  KEYS[13]  hash    <tag>:job:<uid>:adopters

  ARGV[1]  nowMs   test clock, or ''
  ARGV[2]  uid     string
  ARGV[3]  from    first pod number that is looked at
  ARGV[4]  to      last one, in the same chunk
  ARGV[5]  most    pods that are removed at most
  ARGV[6]  failed  0 = only pods that succeeded, 1 = all

  Returns  {removed, next, pod, pod, ...}: how many, the number where to go on, and those of them that have a log

  Pods that the Job has released stay, and those that another one has adopted and not counted yet. Failed pods stay
  while one waits for its verdict. Counts never depend on what is kept.
  O(pods), at most 1024. A second run removes nothing more. One hash tag.
]]
-- @include clock
-- @include record
-- @include hot
-- @include watch
-- @include kept
local uid, from, to, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local hot = readHot(KEYS[3])
local takesFailed = ARGV[6] == '1'
if not hot or takesFailed and hot.unjudged > 0 then return { 0, from } end

local first = from % PODS_PER_CHUNK
local packed = redis.call('GETRANGE', KEYS[5], first * POD_BYTES, (to % PODS_PER_CHUNK + 1) * POD_BYTES - 1)
local EMPTY = string.rep('\0', POD_BYTES)
local reply, left, overlays, gone = { 0, to + 1 }, {}, {}, {}
local free = {}
for _, pod in ipairs(redis.call('HKEYS', KEYS[12])) do free[tonumber(pod)] = true end
local adopters = redis.call('HGETALL', KEYS[13])
for i = 1, #adopters, 2 do
  if string.match(adopters[i + 1], '^%S+ %d+ %d+ (%d)') == '1' then free[tonumber(adopters[i])] = true end
end
local removed = 0
for at = 1, #packed, POD_BYTES do
  local flags = string.byte(packed, at + 18)
  local isFailed = flags % 2 == FLAG_FAILED
  if flags == 0 or isFailed and not takesFailed or free[from + (at - 1) / POD_BYTES] then
    left[#left + 1] = string.sub(packed, at, at + POD_BYTES - 1)
  elseif removed == most then
    reply[2] = from + (at - 1) / POD_BYTES
    break
  else
    local pod = from + (at - 1) / POD_BYTES
    removed = removed + 1
    left[#left + 1] = EMPTY
    gone[#gone + 1] = pod
    if bit.band(flags, FLAG_OVERLAY) ~= 0 then overlays[#overlays + 1] = pod end
    if bit.band(flags, FLAG_LOG) ~= 0 then reply[#reply + 1] = pod end
  end
end
if takesFailed then
  redis.call('HSET', KEYS[2], 'failedDroppedTo', reply[2] - 1)
else
  redis.call('HSET', KEYS[2], 'droppedTo', reply[2] - 1)
  -- A walk over all pods begins anew: after it, one over the failed ones.
  if from == 1 then redis.call('HSET', KEYS[2], 'failedDroppedTo', 0) end
end
if removed == 0 then return reply end

reply[1] = removed
redis.call('SETRANGE', KEYS[5], first * POD_BYTES, table.concat(left))
if reply[2] % PODS_PER_CHUNK == 0 then
  local whole = redis.call('GET', KEYS[5])
  if whole == string.rep('\0', #whole) then redis.call('UNLINK', KEYS[5]) end
end
redis.call('HDEL', KEYS[11], unpack(gone))
if #adopters > 0 then redis.call('HDEL', KEYS[13], unpack(gone)) end
if #overlays > 0 then redis.call('HDEL', KEYS[4], unpack(overlays)) end
hot.kept = hot.kept - removed
writeHot(KEYS[3], hot)
redis.call('HINCRBY', KEYS[2], 'droppedPods', removed)
if redis.call('HGET', KEYS[2], 'finished') == '1' then
  subtractKept({ jobs = KEYS[8], failed = KEYS[9], total = KEYS[10] }, uid, removed, hot.kept)
end
local rv = nextResourceVersion(KEYS[1], (readClock(KEYS[1], ARGV[1])))
tellPods(KEYS[6], KEYS[7], rv, uid, from, reply[2] - 1)
return reply
