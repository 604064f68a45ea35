#!lua flags=allow-oom
--[[
  recordRestart: a container of a running pod is about to be restarted (restartPolicy OnFailure).

  Caller   worker

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset  <tag>:due
  KEYS[3]  hash  <tag>:due:taken
  KEYS[4]  hash  <tag>:due:counts
  KEYS[5]  string  <tag>:job:<uid>:hot
  KEYS[6]  hash  <tag>:job:<uid>:slots

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string
  ARGV[4]  slot         integer
  ARGV[5]  podNumber    integer
  ARGV[6]  session      8 bytes
  ARGV[7]  restarts     of the pod so far, this one included

  Returns   1  RECORDED
            0  REPLAYED  that many or more were recorded before
           -1  STALE     the claim is no longer valid
           -2  STOPPING  the pod was told to stop: end it

  The count is absolute, so a retry adds nothing. O(log n). One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local packed = redis.call('HGET', KEYS[6], ARGV[4])
if not packed then return -1 end
local pod, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, _, asked =
  struct.unpack(SLOT, packed)
if pod ~= tonumber(ARGV[5]) or holder ~= ARGV[6] or phase == PENDING then return -1 end
if phase >= STOPPING and phase ~= FREE then return -2 end
local count = math.min(tonumber(ARGV[7]), 65535)
if count <= restarts then return 0 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
redis.call('HSET', KEYS[6], ARGV[4], struct.pack(SLOT_HEAD, pod, index, previous, phase, count, attempts, node,
  holder, createdMs, startMs, rv, asked) .. string.sub(packed, FAILURES_AT))
-- Of a pod that its Job has released nobody but its reader wants to know.
if phase == FREE then return 1 end
local hot = readHot(KEYS[5])
hot.restarts = hot.restarts + count - restarts
hot.decisionVersion = hot.decisionVersion + 1
writeHot(KEYS[5], hot)
trigger(due, 'job:' .. ARGV[3], now, now)
return 1
