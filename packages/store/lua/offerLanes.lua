#!lua flags=allow-oom
--[[
  offerLanes: whether a live session takes pods. The lanes of one that does not (its node is cordoned, or drains) are
  not there for anybody; when it takes pods again, Jobs that wait for lanes become due.

  Caller   worker

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  hash  <tag>:due:counts
  KEYS[5]  zset  <tag>:sessions
  KEYS[6]  hash  <tag>:session:<id>
  KEYS[7]  hash  <tag>:lanes
  KEYS[8]  set   <tag>:waiting
  KEYS[9]  zset  <tag>:capacity

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  sessionId    16 hex digits
  ARGV[4]  isOffered    0 or 1

  Returns   1  CHANGED
            0  REPLAYED  it was so before
           -1  ENDED     the session was ended: nothing of it is there

  O(lanes + waiting, at most 500). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
-- @include triggerAll
-- @include waiting
-- @include capacity
if not redis.call('ZSCORE', KEYS[5], ARGV[3]) then return -1 end
local isOffered = ARGV[4] == '1'
if isOffered == (redis.call('HEXISTS', KEYS[6], 'withheld') == 0) then return 0 end

changeLanes(KEYS[7], KEYS[9], ARGV[3], redis.call('HGETALL', KEYS[6]), isOffered)
if not isOffered then
  redis.call('HSET', KEYS[6], 'withheld', 1)
  return 1
end
redis.call('HDEL', KEYS[6], 'withheld')
wakeWaiting({ set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }, KEYS[8], (readClock(KEYS[1], ARGV[1])))
return 1
