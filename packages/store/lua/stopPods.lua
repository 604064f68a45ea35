#!lua flags=allow-oom
--[[
  stopPods: take pods out of the active ones. A Pending pod is gone at once; a running one is
  marked stopping and its session is told. How it counts is settled here, whatever its end.

  Caller   controller (scale-down, suspend, failure, deletion), sdk (deletion of a pod)

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   string  <tag>:job:<uid>:hot
  KEYS[6]   hash    <tag>:job:<uid>:slots
  KEYS[7]   zset    <tag>:job:<uid>:pending
  KEYS[8]   zset    <tag>:job:<uid>:retry
  KEYS[9]   hash    <tag>:job:<uid>:unjudged
  KEYS[10]  stream  <tag>:watch
  KEYS[11]  string  <tag>:watchers:pods
  KEYS[12+] hash    <tag>:session:<id>:orders   one for each session named in ARGV

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  ARGV[3]  uid              string
  ARGV[4]  generation       guard, or '' for none (a user's deletion of a pod)
  ARGV[5]  decisionVersion  guard, or ''
  ARGV[6]  countAs          uncounted, failed or unjudged
  ARGV[7]  sessions         number of sessions
  ARGV[8+] session id (16 hex digits) and its order channel, for each session; then slot, podNumber, session's
           position (0 = Pending, no session) for each pod, at most 500

  Returns  {decisionVersion, stopped} or
           {-1, 0}  MOVED
           {-2, 0}  GONE

  A pod that is no longer in its slot, or is stopping, is passed over; so a second run stops nothing more.
  O(pods). One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid, countAs = ARGV[3], ARGV[6]
local hot = readHot(KEYS[5])
if not hot then return { -2, 0 } end
if ARGV[4] ~= '' then
  if hot.generation ~= tonumber(ARGV[4]) or hot.decisionVersion ~= tonumber(ARGV[5]) then return { -1, 0 } end
end

local now = readClock(KEYS[1], ARGV[1])
local sessionCount = tonumber(ARGV[7])
local told = {}
local stopped = 0
local rv, fromPod, toPod

local function settle(podNumber, index, node, startMs)
  if countAs == 'uncounted' then
    giveBackIndex(hot, KEYS[8], index)
  elseif countAs == 'failed' then
    hot.failed = hot.failed + 1
  else
    hot.unjudged = hot.unjudged + 1
    redis.call('HSET', KEYS[9], podNumber,
      podRecord(index, node, startMs, now, 137, FLAG_FAILED, REASON.Deleted, rv))
  end
end

for i = 8 + 2 * sessionCount, #ARGV, 3 do
  local slot, podNumber, position = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local packed = redis.call('HGET', KEYS[6], slot)
  if packed then
    local pod, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, _, asked =
      struct.unpack(SLOT, packed)
    local isPending = phase == PENDING
    if pod == podNumber and phase ~= STOPPING and isPending == (position == 0) then
      rv = rv or nextResourceVersion(KEYS[1], now)
      if isPending then
        redis.call('HDEL', KEYS[6], slot)
        redis.call('ZREM', KEYS[7], slot)
      else
        redis.call('HSET', KEYS[6], slot, struct.pack(SLOT, pod, index, previous, STOPPING, restarts,
          attempts, node, holder, createdMs, startMs, rv, asked))
        redis.call('HSET', KEYS[11 + position], uid .. ':' .. slot, podNumber)
        told[position] = true
        hot.running = hot.running - 1
        hot.terminating = hot.terminating + 1
        hot.restarts = hot.restarts - restarts
      end
      hot.active = hot.active - 1
      settle(podNumber, index, node, startMs)
      stopped = stopped + 1
      fromPod = math.min(fromPod or podNumber, podNumber)
      toPod = math.max(toPod or podNumber, podNumber)
    end
  end
end
if stopped == 0 then return { hot.decisionVersion, 0 } end

hot.decisionVersion = hot.decisionVersion + 1
writeHot(KEYS[5], hot)
for position in pairs(told) do
  redis.call('PUBLISH', ARGV[9 + 2 * (position - 1)], '1')
end
if ARGV[4] == '' then trigger(due, 'job:' .. uid, now, now) end
tellPods(KEYS[10], KEYS[11], rv, uid, fromPod, toPod)
return { hot.decisionVersion, stopped }
