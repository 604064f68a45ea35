#!lua
--[[
  openSlots: open slots of some Jobs, each with its first pod Pending, as far as the gate allows; before that, as
  `judge` does, count failed pods and set the gate, and after it write the status that says so.

  Caller   controller; the Jobs that open slots in one tick go together

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:queues
  KEYS[3]  stream  <tag>:watch
  KEYS[4]  string  <tag>:watchers:pods
  KEYS[5]  hash    <tag>:quota:hard
  KEYS[6]  hash    <tag>:quota:used
  KEYS[7]  zset    <tag>:quota:waiting
  then for each Job:
  KEYS[+1] hash    <tag>:job:<uid>
  KEYS[+2] string  <tag>:job:<uid>:hot
  KEYS[+3] hash    <tag>:job:<uid>:slots
  KEYS[+4] zset    <tag>:job:<uid>:pending
  KEYS[+5] zset    <tag>:job:<uid>:retry
  KEYS[+6] hash    <tag>:job:<uid>:unjudged
  and when `judges` has bit 2:
  KEYS[+7] hash    <tag>:job:<uid>:losses
  KEYS[+8] string  <tag>:job:<uid>:failed   bitmap

  ARGV[1]  nowMs            test clock, or ''
  then for each Job:
  ARGV[+1] uid              string
  ARGV[+2] generation       that the decision was made from
  ARGV[+3] decisionVersion  that the decision was made from
  ARGV[+4] count            slots wanted, 1..500
  ARGV[+5] status           JSON, true when as many were opened; '' = leave it as it is
  ARGV[+6] critical         as in writeStatus
  ARGV[+7] priority         `<value> <class>` of its pods; '' = none
  ARGV[+8] judges           bits: 1 verdicts follow, 2 failures are counted for each index. Only with bit 1 follow:
  ARGV[+9] limit            gate
  ARGV[+10] notBeforeMs      gate
  ARGV[+11] deadlineMs       gate
  ARGV[+12] rules            gate, bits: see hot.lua
  ARGV[+13] failuresInRow    back-off
  ARGV[+14] lastFailureMs    back-off
  ARGV[+15] number of pods, then for each podNumber, verdict (failed, ignored, indexFailed), countsToLimit (0 or 1),
            retryAtMs (0 = at once), failures of its index (packed, or '')

  Returns a list, for each Job in order {decisionVersion, 1 when the status was written, denial, slot, slot, ...}, or
           {-1}  MOVED  generation or decisionVersion changed
           {-2}  GONE   no such Job, or it is finished or deleted
           denial: JSON of why the quota of the namespace allows no more of them, or ''

  In a namespace with a ResourceQuota each slot takes its share of it, see grants.lua; a Job that is denied some is noted
  in KEYS[7], and becomes due when there is some again.

  A second run opens only what the gate still allows, or answers MOVED: active pods are counted here, not by the
  caller. O(Jobs + slots + pods), together at most 500 slots and pods, and 500 indexes whose back-off is over. One
  hash tag. Refused when memory is full.
]]
-- @include clock
-- @include record
-- @include hot
-- @include verdicts
-- @include watch
-- @include quota
local quotaKeys = { hard = KEYS[5], used = KEYS[6] }
local now, rv = readClock(KEYS[1], ARGV[1])

-- What the slots of a Job take of the quota of its namespace; nil when that has none.
local function quotaFor(namespace, share, reserved, count)
  local found = quotasOf(quotaKeys, namespace)
  -- A pod without a Job was granted its share when it was created.
  if reserved then return { text = reserved, room = 1, isGranted = true } end
  if not found then return nil end
  share = shareOf(share)
  return { found = found, namespace = namespace, share = share, text = grantText(namespace, share),
    room = roomFor(found, share, count) }
end

-- Notes a Job that was denied quota, once, behind those that wait already.
local function awaitQuota(jobKey, uid, namespace, share, noted)
  if noted and redis.call('ZSCORE', KEYS[7], noted) then return end
  local member = string.format('%s %015.0f %s %s', namespace, now, uid, share or '')
  redis.call('ZADD', KEYS[7], 0, member)
  redis.call('HSET', jobKey, 'awaitsQuota', member)
end

local function open(hot, count, slotsKey, pendingKey, retryKey, perIndex, quota)
  local opened, slots, pending = {}, {}, {}
  local most = quota and math.min(count, quota.room) or count
  while #opened < most and mayStart(hot, now) do
    local slot = hot.nextSlot
    hot.nextSlot = slot + 1
    hot.podCount = hot.podCount + 1
    hot.active = hot.active + 1
    local n = 2 * #opened
    local isRetry = hot.retryCount > 0
    local index = takeIndex(hot, retryKey)
    slots[n + 1] = slot
    slots[n + 2] = struct.pack(SLOT, hot.podCount, index, 0, PENDING, 0, 0, 0, NO_SESSION, now, 0, rv, 0)
    if isRetry and perIndex then
      local failures = redis.call('HGET', perIndex.losses, 'f' .. string.format('%.0f', index))
      if failures then
        slots[n + 2] = string.sub(slots[n + 2], 1, FAILURES_AT - 1) .. failures
          .. string.sub(slots[n + 2], FAILURES_END + 1)
      end
    end
    if quota then slots[n + 2] = slots[n + 2] .. quota.text end
    pending[n + 1], pending[n + 2] = hot.podCount, slot
    opened[#opened + 1] = slot
  end
  if #opened > 0 then
    redis.call('HSET', slotsKey, unpack(slots))
    redis.call('ZADD', pendingKey, unpack(pending))
  end
  return opened
end

local function openFor(argument, keyBase, judges)
  local jobKey, hotKey = KEYS[keyBase + 1], KEYS[keyBase + 2]
  local hot = readHot(hotKey)
  local job = redis.call('HMGET', jobKey, 'queue', 'finished', 'deleted', 'namespace', 'name', 'bare', 'rv',
    'share', 'grant', 'awaitsQuota', 'priority')
  if not hot or job[2] == '1' or job[3] == '1' then return { -2 } end
  if hot.generation ~= tonumber(ARGV[argument + 1]) or hot.decisionVersion ~= tonumber(ARGV[argument + 2]) then
    return { -1 }
  end
  local uid, count, status = ARGV[argument], tonumber(ARGV[argument + 3]), ARGV[argument + 4]
  local perIndex = judges >= 2 and { losses = KEYS[keyBase + 7], failed = KEYS[keyBase + 8], now = now }
  if judges % 2 == 1 then
    applyVerdicts(argument + 8, hot, KEYS[keyBase + 6], KEYS[keyBase + 5], perIndex)
  end
  rv = math.max(rv + 1, now * 4096)
  redis.call('SET', KEYS[1], rv)
  local firstPod = hot.podCount + 1
  local quota = quotaFor(job[4], job[8], job[9], count)
  local opened = open(hot, count, KEYS[keyBase + 3], KEYS[keyBase + 4], KEYS[keyBase + 5], perIndex, quota)
  local denied = ''
  if quota and #opened > 0 then
    if quota.isGranted then
      redis.call('HDEL', jobKey, 'grant')
    else
      grant(quotaKeys.used, job[4], quota.share, #opened)
      takeShare(quota.found, quota.share, #opened)
    end
  end
  if quota and not quota.isGranted and #opened < count and mayStart(hot, now) then
    denied = cjson.encode(denialOf(quota.found, quota.share))
    awaitQuota(jobKey, uid, job[4], job[8], job[10])
  end
  if #opened > 0 and hot.onQueue == 0 then
    hot.onQueue = 1
    redis.call('HINCRBY', KEYS[2], job[1], 1)
  end
  local priority = ARGV[argument + 6]
  if #opened > 0 and priority ~= (job[11] or '') then
    if priority == '' then
      redis.call('HDEL', jobKey, 'priority')
    else
      redis.call('HSET', jobKey, 'priority', priority)
    end
  end
  local isWritten = status ~= '' and #opened == count
  if isWritten then
    -- It is not what is seen of a pod without a Job.
    local isBare = job[6] == '1'
    redis.call('HSET', jobKey, 'status', status, 'rv', isBare and job[7] or string.format('%.0f', rv))
    if ARGV[argument + 5] == '1' then hot.decisionVersion = hot.decisionVersion + 1 end
    if not isBare then tellJob(KEYS[3], rv, 'MODIFIED', uid, job[4], job[5]) end
  end
  writeHot(hotKey, hot)
  if #opened > 0 then tellPods(KEYS[3], KEYS[4], rv, uid, firstPod, hot.podCount) end
  return { hot.decisionVersion, isWritten and 1 or 0, denied, unpack(opened) }
end

local replies = {}
local keyBase, argument = 7, 2
while argument <= #ARGV do
  local judges = tonumber(ARGV[argument + 7])
  replies[#replies + 1] = openFor(argument, keyBase, judges)
  keyBase = keyBase + (judges >= 2 and 8 or 6)
  argument = argument + (judges % 2 == 1 and 15 + 5 * ARGV[argument + 14] or 8)
end
return replies
