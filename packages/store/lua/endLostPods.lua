#!lua flags=allow-oom
--[[
  endLostPods: end pods of one Job that nobody runs any more though a session has them: Failed, unjudged.

  Caller   controller, of a session that ended; worker, of its own one, what Redis alone believes to run there

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   zset    <tag>:sessions
  KEYS[6]   set     <tag>:session:<id>:claims
  KEYS[7]   hash    <tag>:session:<id>:orders
  KEYS[8]   string  <tag>:job:<uid>:hot
  KEYS[9]   hash    <tag>:job:<uid>:slots
  KEYS[10]  hash    <tag>:job:<uid>:unjudged
  KEYS[11]  hash    <tag>:job:<uid>:losses
  KEYS[12]  stream  <tag>:watch
  KEYS[13]  string  <tag>:watchers:pods
  KEYS[14]  hash    <tag>:job:<uid>:overlay
  KEYS[15]  zset    <tag>:job:<uid>:retry
  KEYS[16]  hash    <tag>:quota:used
  KEYS[17]  zset    <tag>:quota:waiting
  KEYS[18+] string  <tag>:job:<uid>:pods:<chunk>   one for each pod in ARGV

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  sessionId    16 hex digits
  ARGV[4]  session      the same, 8 bytes
  ARGV[5]  uid          string
  ARGV[6]  isOwn        1 when the session asks itself: it may live
  ARGV[7+] slot and podNumber, for each pod; podNumber 0 when the slot is known to be closed

  Returns   number of pods that were ended
           -1  ALIVE  the session was not ended

  O(pods), at most 200. A second run ends nothing more. One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
-- @include grants
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid = ARGV[5]
if ARGV[6] ~= '1' and redis.call('ZSCORE', KEYS[5], ARGV[3]) then return -1 end
local now = readClock(KEYS[1], ARGV[1])
local hot = readHot(KEYS[8])
local ended = 0
local rv, fromPod, toPod
-- Each key is read and written once: 200 pods in single calls would hold Redis up for too long.
local closed, unjudged, claims, grants = {}, {}, {}, {}
local slots = {}
for i = 7, #ARGV, 2 do slots[#slots + 1] = ARGV[i] end
local held = hot and redis.call('HMGET', KEYS[9], unpack(slots)) or {}
local passed = {}

local function countLoss(index)
  if redis.call('HINCRBY', KEYS[11], index, 1) == 1 then hot.lossCount = hot.lossCount + 1 end
end

for i = 7, #ARGV, 2 do
  local slot, podNumber = ARGV[i], tonumber(ARGV[i + 1])
  local packed = not passed[slot] and held[(i - 7) / 2 + 1]
  passed[slot] = true
  local settled = true
  if packed then
    local pod, index, _, phase, restarts, _, node, holder, _, startMs = struct.unpack(SLOT, packed)
    if phase ~= PENDING and holder == ARGV[4] then
      settled = pod == podNumber
      if settled then
        rv = rv or nextResourceVersion(KEYS[1], now)
        closed[#closed + 1] = slot
        if #packed > SLOT_BYTES then
          local grant = string.sub(packed, SLOT_BYTES + 1)
          grants[grant] = (grants[grant] or 0) + 1
        end
        if phase >= STOPPING and phase < FREE then hot.terminating = hot.terminating - 1 end
        if phase == RETURNING then
          giveBackIndex(hot, KEYS[15], index)
        elseif phase == LEAVING then
          unjudged[#unjudged + 1] = podNumber
          unjudged[#unjudged + 1] = podRecord(index, node, startMs, now, 137, FLAG_FAILED, REASON_NODE_LOST, rv)
          countLoss(index)
          hot.unjudged = hot.unjudged + 1
          hot.decisionVersion = hot.decisionVersion + 1
        elseif phase == RUNNING or phase == FREE then
          local flags, failures = FLAG_FAILED + FLAG_LOG, string.sub(packed, FAILURES_AT, FAILURES_END)
          if failures ~= NO_FAILURES then
            flags = flags + FLAG_OVERLAY
            redis.call('HSET', KEYS[14], podNumber,
              string.format('{"failures":{"counted":%d,"ignored":%d}}', struct.unpack('>I4I4', failures)))
          end
          local record = podRecord(index, node, startMs, now, 137, flags, REASON_NODE_LOST, rv)
          writeRecords(KEYS[18 + (i - 7) / 2], podNumber, record)
          if phase == RUNNING then
            unjudged[#unjudged + 1] = podNumber
            unjudged[#unjudged + 1] = record
            countLoss(index)
            hot.unjudged = hot.unjudged + 1
            hot.kept = hot.kept + 1
            hot.active = hot.active - 1
            hot.running = hot.running - 1
            hot.restarts = hot.restarts - restarts
            hot.decisionVersion = hot.decisionVersion + 1
          end
        end
        ended = ended + 1
        fromPod = math.min(fromPod or podNumber, podNumber)
        toPod = math.max(toPod or podNumber, podNumber)
      end
    end
  end
  if settled then
    claims[#claims + 1] = uid .. ':' .. slot
  end
end
if #claims > 0 then
  redis.call('SREM', KEYS[6], unpack(claims))
  redis.call('HDEL', KEYS[7], unpack(claims))
end
if #closed > 0 then redis.call('HDEL', KEYS[9], unpack(closed)) end
giveBack({ used = KEYS[16], waiting = KEYS[17] }, due, grants, now)
if #unjudged > 0 then redis.call('HSET', KEYS[10], unpack(unjudged)) end
if ended > 0 then
  writeHot(KEYS[8], hot)
  trigger(due, 'job:' .. uid, now, now)
  tellPods(KEYS[12], KEYS[13], rv, uid, fromPod, toPod)
end
return ended
