#!lua
--[[
  registerSession: begin a worker session; Jobs that wait for lanes become due.

  Caller   worker

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  hash  <tag>:due:counts
  KEYS[5]  zset  <tag>:sessions           live sessions, scored by the end of the lease
  KEYS[6]  hash  <tag>:session:<id>
  KEYS[7]  hash  <tag>:lanes
  KEYS[8]  set   <tag>:waiting
  KEYS[9]  hash  <tag>:nodes              node name to number and number to name
  KEYS[10] hash  <tag>:meta               runId
  KEYS[11] zset  <tag>:capacity

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  sessionId    16 hex digits, random
  ARGV[4]  ttlMs        length of the lease
  ARGV[5]  node         name
  ARGV[6]  cpu          thousandths of a CPU that its pods may request together
  ARGV[7]  memory       bytes, the same
  ARGV[8+] fittingKey and lanes, for each

  Returns   1  REGISTERED
            0  REPLAYED

  O(lanes + waiting, at most 500). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
-- @include triggerAll
-- @include waiting
-- @include capacity
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local now = readClock(KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[6]) == 1 then return 0 end

-- expireSession compares this: a Redis that was restarted gives every lease some more time.
if redis.call('HEXISTS', KEYS[10], 'runId') == 0 then
  redis.call('HSET', KEYS[10], 'runId', string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'))
end
local number = redis.call('HGET', KEYS[9], ARGV[5])
if not number then
  -- A record has two bytes for it: after 65,535 names the oldest number is given again.
  number = redis.call('HINCRBY', KEYS[9], '#', 1)
  if number > 65535 then
    number = 1
    redis.call('HSET', KEYS[9], '#', number)
  end
  local former = redis.call('HGET', KEYS[9], '#' .. number)
  if former then redis.call('HDEL', KEYS[9], former) end
  redis.call('HSET', KEYS[9], ARGV[5], number, '#' .. number, ARGV[5])
end
local fields = { 'node', ARGV[5], 'nodeNumber', number, 'cpu', ARGV[6], 'memory', ARGV[7] }
for i = 8, #ARGV, 2 do
  fields[#fields + 1] = 'lanes:' .. ARGV[i]
  fields[#fields + 1] = ARGV[i + 1]
end
redis.call('HSET', KEYS[6], unpack(fields))
changeLanes(KEYS[7], KEYS[11], ARGV[3], fields, true)
local leaseEnd = now + tonumber(ARGV[4])
redis.call('ZADD', KEYS[5], leaseEnd, ARGV[3])
schedule(due.set, due.wake, 'session:' .. ARGV[3], leaseEnd)
wakeWaiting(due, KEYS[8], now)
return 1
