#!lua flags=allow-oom
--[[
  sealWorkQueue: no more items will come.

  Caller   sdk, cli

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:wq:<uid>

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  of work queues
  ARGV[3]  uid          string

  Returns   1  SEALED
            0  ALREADY_SEALED
           -1  NOT_FOUND

  O(1). Safe to retry. One hash tag.
]]
-- @include clock
-- @include workQueue
local sealedMs = redis.call('HGET', KEYS[2], 'sealedMs')
if not sealedMs then return -1 end
if sealedMs ~= '0' then return 0 end
local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
redis.call('HSET', KEYS[2], 'sealedMs', string.format('%.0f', now), 'rv', string.format('%.0f', rv))
tellAllDone(KEYS[2], ARGV[2], ARGV[3])
return 1
