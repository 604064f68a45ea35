#!lua flags=allow-oom
--[[
  commitItems: BullMQ has all items of a batch.

  Caller   sdk

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:wq:<uid>
  KEYS[3]  zset    <tag>:wq:<uid>:open        batchId by deadline
  KEYS[4]  hash    <tag>:wq:<uid>:batches
  KEYS[5]  zset    <tag>:wq:<uid>:committed   batchId by the time until which it is remembered
  KEYS[6]  hash    <tag>:wq:<uid>:dead
  KEYS[7]  hash    <tag>:wq:<uid>:retrying

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  of work queues
  ARGV[3]  uid          string
  ARGV[4]  batchId      string
  ARGV[5]  rememberMs   for how long a repeated reserveItems gets the same ids
  ARGV[6+] ids of dead-lettered items that the batch brings back

  Returns   1  COMMITTED  or it was before
           -1  ABANDONED  the batch was open for too long: its items count for nothing
           -2  NOT_FOUND  no such work queue, or no such batch (any more)

  O(log n + ids). Safe to retry. One hash tag.
]]
-- @include clock
-- @include workQueue
local batch = redis.call('HGET', KEYS[4], ARGV[4])
if not batch then return -2 end
local first, count, state = string.match(batch, '^(%d+):(%d+):(%a+)$')
if state == 'abandoned' then return -1 end
if state == 'committed' then return 1 end

local now = readClock(KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('HSET', KEYS[4], ARGV[4], first .. ':' .. count .. ':committed')
redis.call('HINCRBY', KEYS[2], 'open', -1)
if #ARGV > 5 then
  local ids = {}
  for i = 6, #ARGV do ids[#ids + 1] = ARGV[i] end
  local retried = redis.call('HDEL', KEYS[6], unpack(ids))
  redis.call('HDEL', KEYS[7], unpack(ids))
  redis.call('HINCRBY', KEYS[2], 'dead', -retried)
  redis.call('HINCRBY', KEYS[2], 'retried', retried)
end
-- One comes, two go: no more are remembered than came within the time.
redis.call('ZADD', KEYS[5], now + tonumber(ARGV[5]), ARGV[4])
local old = redis.call('ZRANGE', KEYS[5], '-inf', now, 'BYSCORE', 'LIMIT', 0, 2)
if #old > 0 then
  redis.call('ZREM', KEYS[5], unpack(old))
  redis.call('HDEL', KEYS[4], unpack(old))
end
tellAllDone(KEYS[2], ARGV[2], ARGV[3])
return 1
