#!lua flags=allow-oom
--[[
  clearItems: settle all items up to one that nobody works on. The caller then empties BullMQ's queue;
  what is delivered all the same is not run.

  Caller   sdk

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:wq:<uid>
  KEYS[3]  string  <tag>:wq:<uid>:settled   bitmap

  ARGV[1]  wakeChannel  of work queues
  ARGV[2]  uid          string
  ARGV[3]  upTo         last id
  ARGV[4+] ids of items in flight, which are left

  Returns  how many were cleared, or
           -1  NOT_FOUND

  O(items / 8 + ids), with a small factor. Safe to retry. One hash tag.
]]
-- @include clock
-- @include workQueue
local enqueued = tonumber(redis.call('HGET', KEYS[2], 'enqueued') or -1)
if enqueued < 0 then return -1 end
local last = math.min(enqueued, tonumber(ARGV[3]))
if last == 0 then return 0 end
local before = redis.call('BITCOUNT', KEYS[3], 1, last, 'BIT')
local inFlight = {}
for i = 4, #ARGV do
  if tonumber(ARGV[i]) <= last and redis.call('GETBIT', KEYS[3], ARGV[i]) == 0 then inFlight[ARGV[i]] = true end
end
-- Bit 0 belongs to no item.
local bytes = math.floor((last + 1) / 8)
if bytes > 0 then redis.call('SETRANGE', KEYS[3], 0, string.rep('\255', bytes)) end
for id = bytes * 8, last do redis.call('SETBIT', KEYS[3], id, 1) end
local cleared = last - before
for id in pairs(inFlight) do
  redis.call('SETBIT', KEYS[3], id, 0)
  cleared = cleared - 1
end
if cleared == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], 'cleared', cleared)
redis.call('HINCRBY', KEYS[2], 'settled', cleared)
nextResourceVersion(KEYS[1], 0)
tellAllDone(KEYS[2], ARGV[1], ARGV[2])
return cleared
