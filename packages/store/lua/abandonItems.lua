#!lua flags=allow-oom
--[[
  abandonItems: end the batches whose producer did not commit them in time. What is not settled of
  them counts as abandoned: what BullMQ has of it after all counts for nothing.

  Caller   controller, for the due member wq:<uid>

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:wq:<uid>
  KEYS[3]  string  <tag>:wq:<uid>:settled     bitmap
  KEYS[4]  zset    <tag>:wq:<uid>:open
  KEYS[5]  hash    <tag>:wq:<uid>:batches
  KEYS[6]  zset    <tag>:wq:<uid>:committed
  KEYS[7]  string  <tag>:wq:<uid>:abandoned   bitmap

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  of work queues
  ARGV[3]  uid          string
  ARGV[4]  rememberMs   for how long a late commitItems is told

  Returns  {abandoned, nextMs}  items that were abandoned now; when to come again, '' = no batch is open

  One batch a call, O(its items). Safe to retry. One hash tag.
]]
-- @include clock
-- @include workQueue
local now = readClock(KEYS[1], ARGV[1])
local late = redis.call('ZRANGE', KEYS[4], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)
local abandoned = 0
if late[1] then
  local batchId = late[1]
  local first, count = string.match(redis.call('HGET', KEYS[5], batchId), '^(%d+):(%d+):')
  local operations = {}
  for id = first, first + count - 1 do
    local n = #operations
    operations[n + 1], operations[n + 2], operations[n + 3], operations[n + 4] = 'SET', 'u1', id, '1'
  end
  for i, before in ipairs(redis.call('BITFIELD', KEYS[3], unpack(operations))) do
    if before == 0 then
      abandoned = abandoned + 1
      redis.call('SETBIT', KEYS[7], first + i - 1, 1)
    end
  end
  redis.call('ZREM', KEYS[4], batchId)
  redis.call('HSET', KEYS[5], batchId, first .. ':' .. count .. ':abandoned')
  redis.call('ZADD', KEYS[6], now + tonumber(ARGV[4]), batchId)
  redis.call('HINCRBY', KEYS[2], 'open', -1)
  redis.call('HINCRBY', KEYS[2], 'abandoned', abandoned)
  redis.call('HINCRBY', KEYS[2], 'settled', abandoned)
  tellAllDone(KEYS[2], ARGV[2], ARGV[3])
end
local head = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
return { abandoned, head[2] or '' }
