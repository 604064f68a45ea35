#!lua
--[[
  addItems: hand items that are ready at once to BullMQ: for each what its addStandardJob does, but
  in one script, and without its events, which nobody reads.

  Caller   sdk

  KEYS[1]  list    {P:wq:<uid>}:i:wait
  KEYS[2]  hash    {P:wq:<uid>}:i:meta
  KEYS[3]  string  {P:wq:<uid>}:i:id
  KEYS[4]  list    {P:wq:<uid>}:i:active
  KEYS[5]  zset    {P:wq:<uid>}:i:marker

  ARGV[1]  prefix     of the keys of QueueJobs: {P:wq:<uid>}:i:
  ARGV[2]  name       of the QueueJobs
  ARGV[3]  opts       of the QueueJobs, JSON
  ARGV[4]  timestamp  ms since the epoch
  ARGV[5+] data of each QueueJob, JSON

  Returns  the id of the last QueueJob

  Sent again it adds them again: a settled item is passed over. O(items). One hash tag. Refused when memory is full.
]]
local prefix, name, opts, timestamp = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count = #ARGV - 4
local before = redis.call('INCRBY', KEYS[3], count) - count
local ids = {}
for i = 1, count do
  local id = string.format('%d', before + i)
  ids[i] = id
  redis.call(
    'HSET', prefix .. id,
    'name', name, 'data', ARGV[4 + i], 'opts', opts, 'timestamp', timestamp, 'delay', 0, 'priority', 0
  )
end
redis.call('LPUSH', KEYS[1], unpack(ids))
-- Workers wait for the marker; that of a queue that may not be taken from is set when it may.
local meta = redis.call('HMGET', KEYS[2], 'paused', 'concurrency')
local isFull = meta[2] and redis.call('LLEN', KEYS[4]) >= tonumber(meta[2])
if not meta[1] and not isFull then redis.call('ZADD', KEYS[5], 0, '0') end
return before + count
