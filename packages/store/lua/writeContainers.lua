#!lua
--[[
  writeContainers: note how the containers of a running pod are, for those who look; nothing decides by it.

  Caller   worker, for pods with several containers, volumes or restarts; at most every 100 ms

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:job:<uid>:slots
  KEYS[3]  string  <tag>:job:<uid>:containers:<pod>
  KEYS[4]  stream  <tag>:watch
  KEYS[5]  string  <tag>:watchers:pods

  ARGV[1]  nowMs      test clock, or ''
  ARGV[2]  uid        string
  ARGV[3]  slot       integer
  ARGV[4]  podNumber  integer
  ARGV[5]  session    8 bytes
  ARGV[6]  details    JSON of PodDetails
  ARGV[7]  ttlMs      integer; the worker writes again before that

  Returns   1  WRITTEN
           -1  STALE    the claim is no longer valid

  A pod that is stopping keeps its resourceVersion: its deletionTimestamp is told from it. Not let in when memory is
  full: figures are not worth it. O(length of details). Safe to retry. One hash tag.
]]
-- @include clock
-- @include record
-- @include watch
local packed = redis.call('HGET', KEYS[2], ARGV[3])
if not packed then return -1 end
local pod, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, _, asked =
  struct.unpack(SLOT, packed)
if pod ~= tonumber(ARGV[4]) or holder ~= ARGV[5] or phase == PENDING then return -1 end

redis.call('SET', KEYS[3], ARGV[6], 'PX', ARGV[7])
if phase == RUNNING or phase == FREE then
  local rv = nextResourceVersion(KEYS[1], (readClock(KEYS[1], ARGV[1])))
  redis.call('HSET', KEYS[2], ARGV[3], struct.pack(SLOT_HEAD, pod, index, previous, phase, restarts, attempts, node,
    holder, createdMs, startMs, rv, asked) .. string.sub(packed, FAILURES_AT))
  tellPods(KEYS[4], KEYS[5], rv, ARGV[2], pod, pod)
end
return 1
