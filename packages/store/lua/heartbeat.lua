#!lua flags=allow-oom
--[[
  heartbeat: extend the lease of a session, count its claims and hand out its stop orders.

  Caller   worker

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  zset  <tag>:sessions
  KEYS[5]  hash  <tag>:session:<id>:orders   <uid>:<slot> to pod number
  KEYS[6]  set   <tag>:session:<id>:claims

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  sessionId    16 hex digits
  ARGV[4]  ttlMs        length of the lease

  Returns  nil when the session was ended, else {claims, {<uid>:<slot>, podNumber, ...}}

  A lease is only extended. O(log n + orders). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
local score = redis.call('ZSCORE', KEYS[4], ARGV[3])
if not score then return nil end
local now = readClock(KEYS[1], ARGV[1])
-- The time seen moves on with every heartbeat, though nothing else may be written.
nextResourceVersion(KEYS[1], now)
local leaseEnd = math.max(tonumber(score), now + tonumber(ARGV[4]))
redis.call('ZADD', KEYS[4], leaseEnd, ARGV[3])
local member = 'session:' .. ARGV[3]
-- A controller that has it taken reads the lease itself and sets the next look.
if redis.call('HEXISTS', KEYS[3], member) == 0 then schedule(KEYS[2], ARGV[2], member, leaseEnd) end
return { redis.call('SCARD', KEYS[6]), redis.call('HGETALL', KEYS[5]) }
