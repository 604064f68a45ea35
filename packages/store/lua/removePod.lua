#!lua flags=allow-oom
--[[
  removePod: remove what is kept of a pod that ended: its record and overlay. The caller removes its log.

  Caller   sdk, server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  string  <tag>:job:<uid>:pods:<chunk>
  KEYS[3]  hash    <tag>:job:<uid>:overlay
  KEYS[4]  stream  <tag>:watch
  KEYS[5]  string  <tag>:watchers:pods

  ARGV[1]  nowMs      test clock, or ''
  ARGV[2]  uid        string
  ARGV[3]  podNumber  integer

  Returns  1  REMOVED
           0  NO_RECORD  there is none, or it was removed before

  Counts do not depend on kept records. O(1). Safe to retry. One hash tag.
]]
-- @include clock
-- @include record
-- @include watch
local podNumber = tonumber(ARGV[3])
local offset = podNumber % PODS_PER_CHUNK * POD_BYTES
local record = redis.call('GETRANGE', KEYS[2], offset, offset + POD_BYTES - 1)
if #record < POD_BYTES or string.byte(record, 19) == 0 then return 0 end

redis.call('SETRANGE', KEYS[2], offset, string.rep('\0', POD_BYTES))
redis.call('HDEL', KEYS[3], podNumber)
local rv = nextResourceVersion(KEYS[1], (readClock(KEYS[1], ARGV[1])))
tellPods(KEYS[4], KEYS[5], rv, ARGV[2], podNumber, podNumber)
return 1
