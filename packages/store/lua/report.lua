#!lua flags=allow-oom
--[[
  report: the hot path. Record pods that ended, each exactly once, and give their slots the next
  pod, for many pods of several Jobs of one session in one script.

  Caller   worker (the reporter; at most one in flight per shard)

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   set     <tag>:session:<id>:claims
  KEYS[6]   hash    <tag>:session:<id>:orders
  KEYS[7]   hash    <tag>:contended   queue to time in ms
  KEYS[8]   stream  <tag>:watch
  KEYS[9]   string  <tag>:watchers:pods
  then for each Job:
  KEYS[+1]  hash    <tag>:job:<uid>:hot
  KEYS[+2]  hash    <tag>:job:<uid>:slots
  KEYS[+3]  string  <tag>:job:<uid>:done      bitmap
  KEYS[+4]  zset    <tag>:job:<uid>:retry
  KEYS[+5]  hash    <tag>:job:<uid>:unjudged
  KEYS[+6]  hash    <tag>:job:<uid>:losses
  KEYS[+7]  hash    <tag>:job:<uid>:overlay
  KEYS[+8]  zset    <tag>:job:<uid>:pending
  KEYS[+9+] hash    <tag>:job:<uid>:pods:<chunk>   the chunks of the Job's entries

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  session      8 bytes
  then for each Job:
  ARGV[+1]  uid
  ARGV[+2]  entries, packed: slot I4, podNumber I4, attemptsStarted I4, flags B (1 failed, 2 has log, 4 leave,
            8 quantum over), exitCode B, reason B, overlay length I4, overlay; big-endian. No slot twice.
  ARGV[+3]  number of chunks, then the number of each chunk

  Returns  one string, for each entry in order: answer B, podNumber I4, index I4, startMs I6
           answers: 1 NEXT, 2 RELEASED, 3 YIELD, 4 STALE, 5 ROLLED_BACK

  Whether an entry is applied is read off its slot: an entry for the slot's pod is applied; one for the pod
  before it was applied already and is answered with the present pod; anything else is stale. So a batch may
  be sent again, and late. Each key of a Job is read once and written once. O(entries). One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
local NEXT, RELEASED, YIELD, STALE, ROLLED_BACK = 1, 2, 3, 4, 5
local ANSWER = '>BI4I4I6'
local pack, unpackStruct = struct.pack, struct.unpack
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local session = ARGV[3]
local now = readClock(KEYS[1], ARGV[1])
local rv

local function readEntries(text)
  local entries, slots, position = {}, {}, 1
  while position <= #text do
    local slot, pod, attempts, flags, exitCode, reason, overlayLength
    slot, pod, attempts, flags, exitCode, reason, overlayLength, position =
      unpackStruct('>I4I4I4BBBI4', text, position)
    local entry = { slot = slot, pod = pod, attempts = attempts, flags = flags, exitCode = exitCode, reason = reason }
    if overlayLength > 0 then
      entry.overlay = string.sub(text, position, position + overlayLength - 1)
      position = position + overlayLength
    end
    entries[#entries + 1] = entry
    slots[#slots + 1] = slot
  end
  return entries, slots
end

local function has(flags, flag)
  return math.floor(flags / flag) % 2 == 1
end

-- Reads what each entry's slot holds and says which entries are to be applied.
local function classify(entries, slots, slotsKey)
  local packed = redis.call('HMGET', slotsKey, unpack(slots))
  for i, entry in ipairs(entries) do
    entry.answer = STALE
    if packed[i] then
      local pod, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs =
        unpackStruct(SLOT, packed[i])
      if holder == session and attempts == entry.attempts then
        if pod == entry.pod and phase ~= PENDING then
          entry.apply = true
          entry.index, entry.phase, entry.restarts = index, phase, restarts
          entry.node, entry.startMs = node, startMs
        elseif previous == entry.pod and phase ~= STOPPING then
          entry.answer = phase == RUNNING and NEXT or YIELD
          entry.nextPod, entry.nextIndex, entry.nextStart = pod, index, startMs
        elseif pod < entry.pod and phase ~= PENDING then
          -- Redis lost newer claims of this slot; what it believes to run here is not known to run.
          entry.apply, entry.rolledBack = true, true
          entry.pod, entry.index, entry.phase, entry.restarts = pod, index, phase, restarts
          entry.node, entry.startMs = node, startMs
          entry.flags, entry.exitCode, entry.reason, entry.overlay = 5, 137, REASON.RolledBack, nil
        end
        entry.createdMs = createdMs
      end
    end
  end
end

-- Sets the done bits of all successes at once and notes which were set before.
local function markDone(hot, entries, doneKey)
  if hot.completions < 0 then return end
  local operations, marked = {}, {}
  for _, entry in ipairs(entries) do
    if entry.apply and entry.phase == RUNNING and not has(entry.flags, 1) then
      local n = #operations
      operations[n + 1], operations[n + 2], operations[n + 3], operations[n + 4] = 'SET', 'u1', entry.index, 1
      marked[#marked + 1] = entry
    end
  end
  if #marked == 0 then return end
  local before = redis.call('BITFIELD', doneKey, unpack(operations))
  for i, entry in ipairs(marked) do
    entry.repeated = before[i] == 1
  end
end

local function reportJob(keyBase, uid, text, chunkKeys)
  local hotKey, slotsKey, retryKey = KEYS[keyBase + 1], KEYS[keyBase + 2], KEYS[keyBase + 4]
  local entries, slots = readEntries(text)
  local hot = readHot(hotKey)
  local answers = {}
  if not hot then
    for i = 1, #entries do answers[i] = pack(ANSWER, STALE, 0, 0, 0) end
    return table.concat(answers)
  end
  classify(entries, slots, slotsKey)
  markDone(hot, entries, KEYS[keyBase + 3])

  local records, slotWrites, closed, claimsGone, ordersGone, overlays = {}, {}, {}, {}, {}, {}
  local quantum, failedNow, stoppedNow, changed = nil, false, false, false
  local succeededBefore = hot.succeeded
  local firstPod, lastPod

  local function close(entry)
    entry.answer = RELEASED
    closed[#closed + 1] = entry.slot
    claimsGone[#claimsGone + 1] = uid .. ':' .. entry.slot
  end

  local function contended()
    if quantum == nil then
      local untilMs = redis.call('HGET', KEYS[7], redis.call('HGET', hotKey, 'queue'))
      quantum = untilMs and tonumber(untilMs) > now or false
    end
    return quantum
  end

  local function continue(entry)
    if has(entry.flags, 4) or not mayStart(hot, now) then return close(entry) end
    local index = takeIndex(hot, retryKey)
    hot.podCount = hot.podCount + 1
    hot.active = hot.active + 1
    entry.nextPod, entry.nextIndex = hot.podCount, index
    local phase, startMs = RUNNING, now
    if has(entry.flags, 8) and contended() then
      phase, startMs = PENDING, 0
      entry.answer = YIELD
      redis.call('ZADD', KEYS[keyBase + 8], hot.podCount, entry.slot)
      claimsGone[#claimsGone + 1] = uid .. ':' .. entry.slot
    else
      entry.answer = NEXT
      hot.running = hot.running + 1
    end
    entry.nextStart = startMs
    local n = #slotWrites
    slotWrites[n + 1] = entry.slot
    slotWrites[n + 2] = pack(SLOT, hot.podCount, index, entry.pod, phase, 0, entry.attempts, entry.node,
      session, now, startMs, rv)
  end

  local function finish(entry)
    local failed = has(entry.flags, 1)
    local flags = (failed and FLAG_FAILED or 0) + (has(entry.flags, 2) and FLAG_LOG or 0)
    if entry.overlay then
      flags = flags + FLAG_OVERLAY
      overlays[#overlays + 1] = entry.pod
      overlays[#overlays + 1] = entry.overlay
    end
    local record = podRecord(entry.index, entry.node, entry.startMs, now, entry.exitCode, flags, entry.reason, rv)
    local chunk = chunkKeys[math.floor(entry.pod / 128)]
    -- After a failover the pod is not the one that the caller named: its record is then not kept.
    if chunk then
      local list = records[chunk]
      if not list then
        list = {}
        records[chunk] = list
      end
      list[#list + 1] = entry.pod % 128
      list[#list + 1] = record
    end
    hot.active = hot.active - 1
    hot.running = hot.running - 1
    hot.restarts = hot.restarts - entry.restarts
    if failed then
      redis.call('HSET', KEYS[keyBase + 5], entry.pod, record)
      hot.unjudged = hot.unjudged + 1
      hot.decisionVersion = hot.decisionVersion + 1
      failedNow = true
      if entry.reason == REASON.Drained or entry.reason == REASON.RolledBack then
        if redis.call('HINCRBY', KEYS[keyBase + 6], entry.index, 1) == 1 then hot.lossCount = hot.lossCount + 1 end
      end
      return close(entry)
    end
    if not entry.repeated then hot.succeeded = hot.succeeded + 1 end
    hot.lastSuccessMs = now
    if hot.lossCount > 0 then
      hot.lossCount = hot.lossCount - redis.call('HDEL', KEYS[keyBase + 6], entry.index)
    end
  end

  -- All ends first: a failure in the batch holds the gate for every slot of it.
  for _, entry in ipairs(entries) do
    if entry.apply then
      changed = true
      rv = rv or nextResourceVersion(KEYS[1], now)
      firstPod = math.min(firstPod or entry.pod, entry.pod)
      lastPod = math.max(lastPod or entry.pod, entry.pod)
      if entry.phase == STOPPING then
        hot.terminating = hot.terminating - 1
        stoppedNow = true
        ordersGone[#ordersGone + 1] = uid .. ':' .. entry.slot
        close(entry)
      else
        finish(entry)
      end
    end
  end
  for i, entry in ipairs(entries) do
    if entry.apply and entry.answer == STALE then continue(entry) end
    if entry.rolledBack then entry.answer = ROLLED_BACK end
    answers[i] = pack(ANSWER, entry.answer, entry.nextPod or 0, entry.nextIndex or 0, entry.nextStart or 0)
  end
  if not changed then return table.concat(answers) end

  for chunk, list in pairs(records) do redis.call('HSET', chunk, unpack(list)) end
  if #slotWrites > 0 then redis.call('HSET', slotsKey, unpack(slotWrites)) end
  if #closed > 0 then redis.call('HDEL', slotsKey, unpack(closed)) end
  if #claimsGone > 0 then redis.call('SREM', KEYS[5], unpack(claimsGone)) end
  if #ordersGone > 0 then redis.call('HDEL', KEYS[6], unpack(ordersGone)) end
  if #overlays > 0 then redis.call('HSET', KEYS[keyBase + 7], unpack(overlays)) end

  local finishedNow = hot.succeeded > succeededBefore
    and (hot.completions < 0 and succeededBefore == 0 or hot.completions >= 0 and hot.succeeded >= hot.completions)
  -- A slot was closed: does the controller have to open or offer another one, or to end the Job?
  local short = #closed > 0
    and (hot.active == 0 or hot.active > hot.running or mayStart(hot, now))
  if failedNow or finishedNow or short or stoppedNow and hot.terminating == 0 then
    trigger(due, 'job:' .. uid, now, now)
  elseif hot.foldAtMs <= now then
    hot.foldAtMs = now + 1000
    trigger(due, 'job:' .. uid, hot.foldAtMs, now)
  end
  writeHot(hotKey, hot)
  tellPods(KEYS[8], KEYS[9], rv, uid, firstPod, math.max(lastPod, hot.podCount))
  return table.concat(answers)
end

local replies = {}
local keyBase, argument = 9, 4
while argument <= #ARGV do
  local uid, text, chunkCount = ARGV[argument], ARGV[argument + 1], tonumber(ARGV[argument + 2])
  local chunkKeys = {}
  for i = 1, chunkCount do
    chunkKeys[tonumber(ARGV[argument + 2 + i])] = KEYS[keyBase + 8 + i]
  end
  replies[#replies + 1] = reportJob(keyBase, uid, text, chunkKeys)
  keyBase = keyBase + 8 + chunkCount
  argument = argument + 3 + chunkCount
end
return table.concat(replies)
