#!lua flags=allow-oom
--[[
  expireSession: end a session whose lease ran out (or that its owner gives up) and name what it
  still holds. An ended session is refused for ever.

  Caller   controller; worker for its own session, with force

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:sessions
  KEYS[3]  hash  <tag>:session:<id>
  KEYS[4]  set   <tag>:session:<id>:claims   <uid>:<slot>
  KEYS[5]  hash  <tag>:session:<id>:orders
  KEYS[6]  hash  <tag>:lanes
  KEYS[7]  hash  <tag>:meta                 runId, graceUntilMs
  KEYS[8]  zset  <tag>:capacity

  ARGV[1]  nowMs      test clock, or ''
  ARGV[2]  sessionId  16 hex digits
  ARGV[3]  ttlMs      one lease: the grace after a restart of Redis
  ARGV[4]  force      0 or 1; 1 ends it though its lease runs

  Returns  {1, untilMs}                ALIVE  look again then
           {0, <uid>:<slot>, ...}      ENDED  at most 500 claims; none: nothing is left of the session

  After a restart of Redis (its run id is new) no lease ends for one ttl: nobody could renew while it was away.
  O(claims, at most 500). Safe to retry. One hash tag.
]]
-- @include clock
-- @include capacity
local now = readClock(KEYS[1], ARGV[1])
local leaseEnd = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or 0)
if leaseEnd > 0 and ARGV[4] ~= '1' then
  local runId = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local seen = redis.call('HMGET', KEYS[7], 'runId', 'graceUntilMs')
  local graceUntil = tonumber(seen[2] or 0)
  if seen[1] and seen[1] ~= runId then
    graceUntil = now + tonumber(ARGV[3])
    redis.call('HSET', KEYS[7], 'runId', runId, 'graceUntilMs', graceUntil)
  end
  if not seen[1] then redis.call('HSET', KEYS[7], 'runId', runId) end
  local untilMs = math.max(leaseEnd, graceUntil)
  if untilMs > now then return { 1, string.format('%.0f', untilMs) } end
end

if leaseEnd > 0 then
  redis.call('ZREM', KEYS[2], ARGV[2])
  -- Those of one that takes no pods were taken away before.
  if redis.call('HEXISTS', KEYS[3], 'withheld') == 0 then
    changeLanes(KEYS[6], KEYS[8], ARGV[2], redis.call('HGETALL', KEYS[3]), false)
  end
end
local claims = redis.call('SRANDMEMBER', KEYS[4], 500)
-- The empty session hash stays a while: a late registration of the same id must not revive it.
if #claims == 0 then
  redis.call('UNLINK', KEYS[4], KEYS[5])
  redis.call('PEXPIRE', KEYS[3], 600000)
end
return { 0, unpack(claims) }
