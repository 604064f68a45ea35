#!lua flags=allow-oom
--[[
  stopPods: take pods out of the active ones. A Pending pod is gone at once; a running one is marked stopping and
  its session is told. How it counts is settled here, whatever its end; but of a Job that replaces pods only when they
  ended (rule 4) the index of an uncounted pod goes back with its end, and one that its user deleted counts by its end.
  A pod that its Job has released is only told to stop, and only by its user.
  With `cut`, the index leaves the Job: it goes back at once, also that of a pod which was told to stop before, and no
  end changes anything any more.

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
  KEYS[12]  hash    <tag>:quota:used
  KEYS[13]  zset    <tag>:quota:waiting
  KEYS[14+] hash    <tag>:session:<id>:orders   one for each session named in ARGV

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  ARGV[3]  uid              string
  ARGV[4]  generation       guard, or '' for none (a user's deletion of a pod)
  ARGV[5]  decisionVersion  guard, or ''
  ARGV[6]  countAs          uncounted, failed, unjudged or cut
  ARGV[7]  sessions         number of sessions
  ARGV[8+] session id (16 hex digits) and its order channel, for each session; then slot, podNumber, session's
           position (0 = Pending, no session) for each pod, at most 200

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
-- @include grants
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid, countAs = ARGV[3], ARGV[6]
local hot = readHot(KEYS[5])
if not hot then return { -2, 0 } end
if ARGV[4] ~= '' then
  if hot.generation ~= tonumber(ARGV[4]) or hot.decisionVersion ~= tonumber(ARGV[5]) then return { -1, 0 } end
end

local function append(fields, name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end

local now = readClock(KEYS[1], ARGV[1])
local sessionCount = tonumber(ARGV[7])
local stopped = 0
local rv, fromPod, toPod
-- Each key is written once: 200 pods in single writes would hold Redis up for too long.
local closed, marked, unjudged, orders, grants = {}, {}, {}, {}, {}

-- What becomes of a running pod, see record.lua.
local stopping = STOPPING
if bit.band(hot.rules, REPLACE_ENDED) ~= 0 and countAs ~= 'failed' and countAs ~= 'cut' then
  stopping = countAs == 'uncounted' and RETURNING or LEAVING
end

local function settle(podNumber, index, node, startMs)
  if countAs == 'uncounted' or countAs == 'cut' then
    giveBackIndex(hot, KEYS[8], index)
  elseif countAs == 'failed' then
    hot.failed = hot.failed + 1
  else
    hot.unjudged = hot.unjudged + 1
    append(unjudged, podNumber, podRecord(index, node, startMs, now, 137, FLAG_FAILED, REASON_DELETED, rv))
  end
end

local firstPod = 8 + 2 * sessionCount
local held = {}
if firstPod <= #ARGV then
  local slots = {}
  for i = firstPod, #ARGV, 3 do slots[#slots + 1] = ARGV[i] end
  held = redis.call('HMGET', KEYS[6], unpack(slots))
end
local passed = {}
for i = firstPod, #ARGV, 3 do
  local slot, podNumber, position = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local packed = held[(i - firstPod) / 3 + 1]
  if packed and not passed[slot] then
    local pod, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, _, asked =
      struct.unpack(SLOT, packed)
    local isPending = phase == PENDING
    if pod == podNumber
      and (phase == LEAVING and countAs == 'failed' or (phase == RETURNING or phase == LEAVING) and countAs == 'cut')
    then
      -- The Job failed meanwhile: all that has not ended counts. Or its index has left the Job.
      rv = rv or nextResourceVersion(KEYS[1], now)
      passed[slot] = true
      append(marked, slot, struct.pack(SLOT_HEAD, pod, index, previous, STOPPING, restarts, attempts, node, holder,
        createdMs, startMs, rv, asked) .. string.sub(packed, FAILURES_AT))
      settle(podNumber, index, node, startMs)
      stopped = stopped + 1
      fromPod = math.min(fromPod or podNumber, podNumber)
      toPod = math.max(toPod or podNumber, podNumber)
    elseif pod == podNumber and phase == FREE and countAs == 'unjudged' and position > 0 then
      rv = rv or nextResourceVersion(KEYS[1], now)
      passed[slot] = true
      append(marked, slot, struct.pack(SLOT_HEAD, pod, index, previous, FREE_STOPPING, restarts, attempts, node, holder,
        createdMs, startMs, rv, asked) .. string.sub(packed, FAILURES_AT))
      orders[position] = orders[position] or {}
      append(orders[position], uid .. ':' .. slot, podNumber)
      stopped = stopped + 1
      fromPod = math.min(fromPod or podNumber, podNumber)
      toPod = math.max(toPod or podNumber, podNumber)
    elseif pod == podNumber and phase < STOPPING and isPending == (position == 0) then
      rv = rv or nextResourceVersion(KEYS[1], now)
      passed[slot] = true
      if isPending then
        closed[#closed + 1] = slot
        if #packed > SLOT_BYTES then
          local grant = string.sub(packed, SLOT_BYTES + 1)
          grants[grant] = (grants[grant] or 0) + 1
        end
      else
        append(marked, slot, struct.pack(SLOT_HEAD, pod, index, previous, stopping, restarts, attempts, node, holder,
          createdMs, startMs, rv, asked) .. string.sub(packed, FAILURES_AT))
        orders[position] = orders[position] or {}
        append(orders[position], uid .. ':' .. slot, podNumber)
        hot.running = hot.running - 1
        hot.terminating = hot.terminating + 1
        hot.restarts = hot.restarts - restarts
      end
      hot.active = hot.active - 1
      if isPending or stopping == STOPPING then settle(podNumber, index, node, startMs) end
      stopped = stopped + 1
      fromPod = math.min(fromPod or podNumber, podNumber)
      toPod = math.max(toPod or podNumber, podNumber)
    end
  end
end
if stopped == 0 then return { hot.decisionVersion, 0 } end

hot.decisionVersion = hot.decisionVersion + 1
writeHot(KEYS[5], hot)
if #closed > 0 then
  redis.call('HDEL', KEYS[6], unpack(closed))
  redis.call('ZREM', KEYS[7], unpack(closed))
end
giveBack({ used = KEYS[12], waiting = KEYS[13] }, due, grants, now)
if #marked > 0 then redis.call('HSET', KEYS[6], unpack(marked)) end
if #unjudged > 0 then redis.call('HSET', KEYS[9], unpack(unjudged)) end
for position, fields in pairs(orders) do
  redis.call('HSET', KEYS[13 + position], unpack(fields))
  redis.call('PUBLISH', ARGV[9 + 2 * (position - 1)], '1')
end
if ARGV[4] == '' then trigger(due, 'job:' .. uid, now, now) end
tellPods(KEYS[10], KEYS[11], rv, uid, fromPod, toPod)
return { hot.decisionVersion, stopped }
