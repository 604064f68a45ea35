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
  KEYS[10]  zset    <tag>:sessions
  then for each Job:
  KEYS[+1]  string  <tag>:job:<uid>:hot
  KEYS[+2]  hash    <tag>:job:<uid>:slots
  KEYS[+3]  string  <tag>:job:<uid>:done      bitmap
  KEYS[+4]  zset    <tag>:job:<uid>:retry
  KEYS[+5]  hash    <tag>:job:<uid>:unjudged
  KEYS[+6]  hash    <tag>:job:<uid>:losses
  KEYS[+7]  hash    <tag>:job:<uid>:overlay
  KEYS[+8]  zset    <tag>:job:<uid>:pending
  KEYS[+9+] string  <tag>:job:<uid>:pods:<chunk>   the chunks of the Job's entries, 1024 records each

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  session      8 bytes
  ARGV[4]  sessionId    the same, 16 hex digits
  then for each Job:
  ARGV[+1]  uid
  ARGV[+2]  queue, as in <tag>:contended
  ARGV[+3]  entries, packed: slot I4, podNumber I4, attemptsStarted I4, flags B (1 failed, 2 has log, 4 leave,
            8 quantum over), exitCode B, reason B, overlay length I4, overlay; big-endian. No slot twice.
  ARGV[+4]  number of chunks, then the number of each chunk

  Returns  one string, for each entry in order: answer B, podNumber I4, index I4, startMs I6
           answers: 1 NEXT, 2 RELEASED, 3 YIELD, 4 STALE, 5 ROLLED_BACK

  Whether an entry is applied is read off its slot: an entry for the slot's pod is applied; one for the pod
  before it was applied already and is answered with the present pod; anything else is stale. So a batch may
  be sent again, and late. Everything that an ended session sends is stale: endLostPods takes its pods away, and
  none may be given to it meanwhile. Each key of a Job is read once and written once. O(entries). One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
local NEXT, RELEASED, YIELD, STALE, ROLLED_BACK = 1, 2, 3, 4, 5
local ANSWER = '>BI4I4I6'
local NONE = {}
local FAILED, HAS_LOG, LEAVE, QUANTUM_OVER = 1, 2, 4, 8
local pack, unpackStruct, band = struct.pack, struct.unpack, bit.band
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local session = ARGV[3]
local isAlive = redis.call('ZSCORE', KEYS[10], ARGV[4])
local now = readClock(KEYS[1], ARGV[1])
local rv

-- A batch is a table of arrays, not an array of tables: this is where the time goes.
local function readBatch(text)
  local slot, pod, attempts, flags, exitCode, reason, overlay = {}, {}, {}, {}, {}, {}, {}
  local position, length, i = 1, #text, 0
  local overlayLength
  while position <= length do
    i = i + 1
    slot[i], pod[i], attempts[i], flags[i], exitCode[i], reason[i], overlayLength, position =
      unpackStruct('>I4I4I4BBBI4', text, position)
    if overlayLength > 0 then
      overlay[i] = string.sub(text, position, position + overlayLength - 1)
      position = position + overlayLength
    end
  end
  return {
    size = i, slot = slot, pod = pod, attempts = attempts, flags = flags, exitCode = exitCode,
    reason = reason, overlay = overlay,
    -- By the slots: what is to be applied (phase of the pod), and the packed answers.
    phase = {}, index = {}, node = {}, startMs = {}, restarts = {}, asked = {}, repeated = NONE,
    rolledBack = NONE, answer = {},
  }
end

-- Redis lost newer claims of the slot; what it believes to run there is not known to run.
local function rollBack(b, i, pod)
  if b.rolledBack == NONE then b.rolledBack = {} end
  b.rolledBack[i] = true
  b.pod[i], b.flags[i], b.exitCode[i], b.reason[i] = pod, FAILED + LEAVE, 137, REASON.RolledBack
  b.overlay[i] = nil
end

-- Reads what each entry's slot holds: phase[i] is set where the entry is to be applied.
local function classify(b, slotsKey)
  local held = redis.call('HMGET', slotsKey, unpack(b.slot))
  local phases, indexes, nodes, starts, restarted = b.phase, b.index, b.node, b.startMs, b.restarts
  for i = 1, b.size do
    local packed = held[i]
    if packed then
      local pod, index, previous, phase, restarts, attempts, node, holder, _, startMs, _, asked =
        unpackStruct(SLOT, packed)
      if holder == session and attempts == b.attempts[i] then
        local named = b.pod[i]
        if phase ~= PENDING and pod <= named then
          if pod < named then rollBack(b, i, pod) end
          phases[i], indexes[i], nodes[i], starts[i], restarted[i] = phase, index, node, startMs, restarts
          b.asked[i] = asked
        elseif previous == named then
          -- Also when that was told to stop meanwhile: only its holder can end it.
          b.answer[i] = pack(ANSWER, phase == PENDING and YIELD or NEXT, pod, index, startMs)
        end
      end
    end
  end
end

-- Sets the done bits of all successes at once and notes which were set before.
local function markDone(b, doneKey)
  local operations, marked, n = {}, {}, 0
  for i = 1, b.size do
    if b.phase[i] == RUNNING and band(b.flags[i], FAILED) == 0 then
      marked[#marked + 1] = i
      operations[n + 1], operations[n + 2], operations[n + 3], operations[n + 4] = 'SET', 'u1', b.index[i], 1
      n = n + 4
    end
  end
  if n == 0 then return end
  local before = redis.call('BITFIELD', doneKey, unpack(operations))
  for position, i in ipairs(marked) do
    if before[position] == 1 then
      if b.repeated == NONE then b.repeated = {} end
      b.repeated[i] = true
    end
  end
end

-- All that one Job's part of the report writes, gathered so that each key is written once.
local function newWrites()
  return { run = {}, runFirst = 0, slots = {}, closed = {}, claims = {}, orders = {}, overlays = {} }
end

-- Pods mostly end in the order of their numbers: records that follow on each other go in one write.
local function flushRun(writes, chunkKeys)
  if #writes.run == 0 then return end
  -- After a failover the pod is not the one that the caller named: its record is then not kept.
  local chunk = chunkKeys[math.floor(writes.runFirst / PODS_PER_CHUNK)]
  if chunk then writeRecords(chunk, writes.runFirst, table.concat(writes.run)) end
  writes.run = {}
end

local function addRecord(writes, pod, record, chunkKeys)
  local length = #writes.run
  if length > 0 and (pod ~= writes.runFirst + length or pod % PODS_PER_CHUNK == 0) then
    flushRun(writes, chunkKeys)
    length = 0
  end
  if length == 0 then writes.runFirst = pod end
  writes.run[length + 1] = record
end

local function flush(keyBase, writes, chunkKeys)
  flushRun(writes, chunkKeys)
  if #writes.slots > 0 then redis.call('HSET', KEYS[keyBase + 2], unpack(writes.slots)) end
  if #writes.closed > 0 then redis.call('HDEL', KEYS[keyBase + 2], unpack(writes.closed)) end
  if #writes.claims > 0 then redis.call('SREM', KEYS[5], unpack(writes.claims)) end
  if #writes.orders > 0 then redis.call('HDEL', KEYS[6], unpack(writes.orders)) end
  if #writes.overlays > 0 then redis.call('HSET', KEYS[keyBase + 7], unpack(writes.overlays)) end
end

local function close(b, i, uid, writes)
  b.answer[i] = pack(ANSWER, b.rolledBack[i] and ROLLED_BACK or RELEASED, 0, 0, 0)
  writes.closed[#writes.closed + 1] = b.slot[i]
  writes.claims[#writes.claims + 1] = uid .. ':' .. b.slot[i]
end

-- Counts a pod that ended by itself and writes its record.
local function finish(b, i, hot, keyBase, uid, writes, chunkKeys)
  local pod, index, sent = b.pod[i], b.index[i], b.flags[i]
  local failed = band(sent, FAILED) ~= 0
  -- FAILED and HAS_LOG are the same bits in an entry and in a record.
  local flags = FLAG_PRESENT + band(sent, FAILED + HAS_LOG)
  local overlay = b.overlay[i]
  if overlay then
    flags = flags + FLAG_OVERLAY
    writes.overlays[#writes.overlays + 1] = pod
    writes.overlays[#writes.overlays + 1] = overlay
  end
  local startMs = b.startMs[i]
  local record = pack(POD, index, b.node[i], startMs, math.max(0, now - startMs), b.exitCode[i], flags, b.reason[i], rv)
  addRecord(writes, pod, record, chunkKeys)
  hot.active = hot.active - 1
  hot.running = hot.running - 1
  hot.restarts = hot.restarts - b.restarts[i]
  if not failed then
    if not b.repeated[i] then hot.succeeded = hot.succeeded + 1 end
    hot.lastSuccessMs = now
    if hot.lossCount > 0 then
      hot.lossCount = hot.lossCount - redis.call('HDEL', KEYS[keyBase + 6], index)
    end
    return
  end
  redis.call('HSET', KEYS[keyBase + 5], pod, record)
  hot.unjudged = hot.unjudged + 1
  hot.decisionVersion = hot.decisionVersion + 1
  if b.reason[i] == REASON.Drained or b.reason[i] == REASON.RolledBack then
    if redis.call('HINCRBY', KEYS[keyBase + 6], index, 1) == 1 then hot.lossCount = hot.lossCount + 1 end
  elseif hot.lossCount > 0 then
    hot.lossCount = hot.lossCount - redis.call('HDEL', KEYS[keyBase + 6], index)
  end
  close(b, i, uid, writes)
end

-- Gives a slot its next pod, or closes it.
local function continue(b, i, hot, cap, keyBase, uid, writes, contended)
  if hot.active >= cap or band(b.flags[i], LEAVE) ~= 0 or not indexAvailable(hot) then
    return close(b, i, uid, writes)
  end
  local index = takeIndex(hot, KEYS[keyBase + 4])
  local pod = hot.podCount + 1
  local answer, phase, startMs = NEXT, RUNNING, now
  if contended and band(b.flags[i], QUANTUM_OVER) ~= 0 then
    answer, phase, startMs = YIELD, PENDING, 0
    redis.call('ZADD', KEYS[keyBase + 8], pod, b.slot[i])
    writes.claims[#writes.claims + 1] = uid .. ':' .. b.slot[i]
  else
    hot.running = hot.running + 1
  end
  hot.podCount = pod
  hot.active = hot.active + 1
  b.answer[i] = pack(ANSWER, answer, pod, index, startMs)
  local n = #writes.slots
  writes.slots[n + 1] = b.slot[i]
  writes.slots[n + 2] =
    pack(SLOT, pod, index, b.pod[i], phase, 0, b.attempts[i], b.node[i], session, now, startMs, rv, b.asked[i])
end

-- Does the controller have to look, and when?
local function triggerAfter(hot, uid, before, closedAny, stoppedAny)
  local finished = hot.succeeded > before.succeeded
    and (hot.completions < 0 and before.succeeded == 0 or hot.completions >= 0 and hot.succeeded >= hot.completions)
  -- A slot was closed: is there another one to be opened or offered, or the Job to be ended?
  local short = closedAny and (hot.active == 0 or hot.active > hot.running or mayStart(hot, now))
  if hot.unjudged > before.unjudged or finished or short or stoppedAny and hot.terminating == 0 then
    trigger(due, 'job:' .. uid, now, now)
  elseif hot.foldAtMs <= now then
    hot.foldAtMs = now + 1000
    trigger(due, 'job:' .. uid, hot.foldAtMs, now)
  end
end

local function isContended(b, jobsQueue)
  for i = 1, b.size do
    if band(b.flags[i], QUANTUM_OVER) ~= 0 then
      local untilMs = redis.call('HGET', KEYS[7], jobsQueue)
      return untilMs and tonumber(untilMs) > now
    end
  end
  return false
end

local function answersOf(b)
  for i = 1, b.size do
    if not b.answer[i] then b.answer[i] = pack(ANSWER, STALE, 0, 0, 0) end
  end
  return table.concat(b.answer, '', 1, b.size)
end

local function reportJob(keyBase, uid, queue, text, chunkKeys)
  local b = readBatch(text)
  local hot = isAlive and readHot(KEYS[keyBase + 1])
  if hot then classify(b, KEYS[keyBase + 2]) end
  if not next(b.phase) then return answersOf(b) end

  rv = rv or nextResourceVersion(KEYS[1], now)
  if hot.indexed == 1 then markDone(b, KEYS[keyBase + 3]) end
  local before = { succeeded = hot.succeeded, unjudged = hot.unjudged }
  local writes, stoppedAny = newWrites(), false
  local firstPod, lastPod = math.huge, 0
  -- All ends first: a failure in the batch holds the gate for every slot of it.
  for i = 1, b.size do
    local phase, pod = b.phase[i], b.pod[i]
    if phase then
      firstPod, lastPod = math.min(firstPod, pod), math.max(lastPod, pod)
      if phase == STOPPING then
        hot.terminating = hot.terminating - 1
        stoppedAny = true
        writes.orders[#writes.orders + 1] = uid .. ':' .. b.slot[i]
        close(b, i, uid, writes)
      else
        finish(b, i, hot, keyBase, uid, writes, chunkKeys)
      end
    end
  end
  local contended = isContended(b, queue)
  local cap = gateOpen(hot, now) and activeCap(hot) or 0
  for i = 1, b.size do
    if b.phase[i] and not b.answer[i] then continue(b, i, hot, cap, keyBase, uid, writes, contended) end
  end
  flush(keyBase, writes, chunkKeys)
  triggerAfter(hot, uid, before, #writes.closed > 0, stoppedAny)
  writeHot(KEYS[keyBase + 1], hot)
  tellPods(KEYS[8], KEYS[9], rv, uid, firstPod, math.max(lastPod, hot.podCount))
  return answersOf(b)
end

local replies = {}
local keyBase, argument = 10, 5
while argument <= #ARGV do
  local chunkCount = tonumber(ARGV[argument + 3])
  local chunkKeys = {}
  for i = 1, chunkCount do
    chunkKeys[tonumber(ARGV[argument + 3 + i])] = KEYS[keyBase + 8 + i]
  end
  replies[#replies + 1] =
    reportJob(keyBase, ARGV[argument], ARGV[argument + 1], ARGV[argument + 2], chunkKeys)
  keyBase = keyBase + 8 + chunkCount
  argument = argument + 4 + chunkCount
end
return table.concat(replies)
