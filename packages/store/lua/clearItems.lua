#!lua flags=allow-oom
--[[
  clearItems: settle the items of a range that nobody works on. The caller then empties BullMQ's queue;
  what is delivered all the same counts for nothing.

  Caller   sdk

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:wq:<uid>
  KEYS[3]  string  <tag>:wq:<uid>:settled   bitmap

  ARGV[1]  wakeChannel  of work queues
  ARGV[2]  uid          string
  ARGV[3]  from         first id
  ARGV[4]  to           last id
  ARGV[5+] ids of the range that are in flight, which are left; at most 1000

  Returns  how many were cleared, or
           -1  NOT_FOUND

  O(items / 8 + ids), with a small factor. Safe to retry. One hash tag.
]]
-- @include clock
-- @include workQueue
local enqueued = tonumber(redis.call('HGET', KEYS[2], 'enqueued') or -1)
if enqueued < 0 then return -1 end
local first, last = tonumber(ARGV[3]), math.min(enqueued, tonumber(ARGV[4]))
if last < first then return 0 end
local before = redis.call('BITCOUNT', KEYS[3], first, last, 'BIT')
-- Those in flight that are not settled: one command to find them, one to give them their bits back.
local asked, left = {}, {}
for i = 5, #ARGV do
  if tonumber(ARGV[i]) >= first and tonumber(ARGV[i]) <= last then
    asked[#asked + 1], asked[#asked + 2], asked[#asked + 3] = 'GET', 'u1', ARGV[i]
  end
end
local bits = #asked > 0 and redis.call('BITFIELD', KEYS[3], unpack(asked)) or {}
for i, bit in ipairs(bits) do
  if bit == 0 then
    left[#left + 1], left[#left + 2], left[#left + 3], left[#left + 4] = 'SET', 'u1', asked[3 * i], '0'
  end
end
-- Whole bytes at once, the bits before and after them one by one.
local fromByte, toByte = math.ceil(first / 8), math.floor((last + 1) / 8)
if fromByte < toByte then
  redis.call('SETRANGE', KEYS[3], fromByte, string.rep('\255', toByte - fromByte))
else
  fromByte = toByte
end
for id = first, math.min(last, math.max(first, fromByte * 8) - 1) do redis.call('SETBIT', KEYS[3], id, 1) end
for id = math.max(first, toByte * 8), last do redis.call('SETBIT', KEYS[3], id, 1) end
local cleared = last - first + 1 - before
if #left > 0 then
  -- One that was named twice was set back by its first mention.
  for _, bit in ipairs(redis.call('BITFIELD', KEYS[3], unpack(left))) do cleared = cleared - bit end
end
if cleared == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], 'cleared', cleared)
redis.call('HINCRBY', KEYS[2], 'settled', cleared)
nextResourceVersion(KEYS[1], 0)
tellAllDone(KEYS[2], ARGV[1], ARGV[2])
return cleared
