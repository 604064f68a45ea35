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
  KEYS[11]  hash    <tag>:quota:used
  KEYS[12]  zset    <tag>:quota:waiting
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
            8 quantum over, 16 has overlay), exitCode B, reason B; big-endian. No slot twice.
  ARGV[+4]  number of chunks
  ARGV[+5]  number of overlays, then the number of each chunk, then the overlay of each entry that has one

  Returns  one string, for each entry in order: answer B, podNumber I4, index I4, startMs I6
           answers: 1 NEXT, 2 RELEASED, 3 YIELD, 4 STALE, 5 ROLLED_BACK, 6 RETRY
           RETRY is NEXT with an index of which pods failed before, and goes on with how often: counted I4, ignored I4

  Whether an entry is applied is read off its slot: an entry for the slot's pod is applied; one for the pod
  before it was applied already and is answered with the present pod; anything else is stale. So a batch may
  be sent again, and late. Everything that an ended session sends is stale: endLostPods takes its pods away, and
  none may be given to it meanwhile. Each key of a Job is read once and written once. O(entries). One hash tag.

  Written as one body, with few functions, few tables and few commands: Redis makes the functions of a script anew
  for each call, which took longer than all commands of a report of one pod. docs/design/0001-engine.md has figures.
]]
-- @include clock
-- @include due
-- @include record
-- @include chunks
-- @include gate
-- @include watch
-- @include grants
local NEXT, RELEASED, YIELD, STALE, ROLLED_BACK, RETRY = 1, 2, 3, 4, 5, 6
local ANSWER = '>BI4I4I6'
local FAILED, HAS_LOG, LEAVE, QUANTUM_OVER, HAS_OVERLAY = 1, 2, 4, 8, 16
-- Rows of fields in one table, not a table for each entry: tables are where the time goes.
local ENTRY, ENTRY_BYTES, ENTRY_FIELDS = 'I4I4I4BBB', 15, 6
local SLOT_NUMBER, POD_NUMBER, ATTEMPTS, FLAGS, EXIT_CODE, WHY = 1, 2, 3, 4, 5, 6
local STATE_FIELDS = 6
local PHASE, INDEX, NODE, START_MS, RESTARTS, ASKED = 1, 2, 3, 4, 5, 6
-- Stands for a table that is seldom needed: never written.
local NONE = {}
local call, pack, unpackStruct, band = redis.call, struct.pack, struct.unpack, bit.band
local session = ARGV[3]
local isAlive = call('ZSCORE', KEYS[10], ARGV[4])

-- One read of what is a string: the clock, whether pods are watched, the Jobs' hot states.
local hotKeys, keyBase, argument = {}, 12, 5
while argument <= #ARGV do
  hotKeys[#hotKeys + 1] = KEYS[keyBase + 1]
  keyBase, argument = keyBase + 8 + ARGV[argument + 3], argument + 5 + ARGV[argument + 3] + ARGV[argument + 4]
end
local read = call('MGET', KEYS[1], KEYS[9], unpack(hotKeys))
local last = tonumber(read[1] or 0)
local now = timeAfter(last, ARGV[1])
local rv = versionAfter(last, now)
-- And one write of them: keys and values in turn.
local writes, replies = {}, {}

keyBase, argument = 12, 5
for job = 1, #hotKeys do
  local uid, text, chunkCount, overlayCount = ARGV[argument], ARGV[argument + 2], ARGV[argument + 3], ARGV[argument + 4]
  local chunkKey, chunkArgument = keyBase + 8, argument + 4
  local size = #text / ENTRY_BYTES
  local entries = { unpackStruct('>' .. string.rep(ENTRY, size), text) }
  local overlayOf = NONE
  if overlayCount ~= '0' then
    overlayOf = {}
    local at = chunkArgument + chunkCount
    for i = 1, size do
      if band(entries[(i - 1) * ENTRY_FIELDS + FLAGS], HAS_OVERLAY) ~= 0 then
        at = at + 1
        overlayOf[i] = ARGV[at]
      end
    end
  end

  -- What each entry's slot holds: states has a row, and so a phase, for each entry that is to be applied.
  local states, answers, rolledBack, isApplied, held = {}, {}, NONE, false, NONE
  local packedHot = isAlive and read[job + 2]
  if packedHot then
    local slots = {}
    for i = 1, size do slots[i] = entries[(i - 1) * ENTRY_FIELDS + SLOT_NUMBER] end
    held = call('HMGET', KEYS[keyBase + 2], unpack(slots))
  end
  for i = 1, #held do
    if held[i] then
      local e, s = (i - 1) * ENTRY_FIELDS, (i - 1) * STATE_FIELDS
      local present, index, previous, phase, restarts, attempts, node, holder, _, startMs, _, asked =
        unpackStruct(SLOT, held[i])
      local named = entries[e + POD_NUMBER]
      local isHolder = holder == session and attempts == entries[e + ATTEMPTS]
      if isHolder and phase ~= PENDING and present <= named then
        if present < named then
          -- Redis lost newer claims of the slot; what it believes to run there is not known to run.
          if rolledBack == NONE then rolledBack = {} end
          rolledBack[i] = true
          if overlayOf[i] then overlayOf[i] = nil end
          local failures = string.sub(held[i], FAILURES_AT, FAILURES_END)
          if failures ~= NO_FAILURES then
            if overlayOf == NONE then overlayOf = {} end
            overlayOf[i] = string.format('{"failures":{"counted":%d,"ignored":%d}}', unpackStruct('>I4I4', failures))
          end
          entries[e + POD_NUMBER], entries[e + FLAGS] = present, FAILED + LEAVE
          entries[e + EXIT_CODE], entries[e + WHY] = 137, REASON_ROLLED_BACK
        end
        isApplied = true
        states[s + PHASE], states[s + INDEX], states[s + NODE] = phase, index, node
        states[s + START_MS], states[s + RESTARTS], states[s + ASKED] = startMs, restarts, asked
      elseif isHolder and previous == named then
        -- Also when that was told to stop meanwhile: only its holder can end it.
        local answer, failures = phase == PENDING and YIELD or NEXT, string.sub(held[i], FAILURES_AT, FAILURES_END)
        if answer == NEXT and failures ~= NO_FAILURES then
          answers[i] = pack(ANSWER, RETRY, present, index, startMs) .. failures
        else
          answers[i] = pack(ANSWER, answer, present, index, startMs)
        end
      end
    end
  end

  if isApplied then
    local generation, decisionVersion, limit, notBeforeMs, deadlineMs, rules, completions, active, running,
      terminating, succeeded, failed, limitFailures, unjudged, jobRestarts, podCount, nextSlot, cursor,
      retryCount, lossCount, foldAtMs, lastSuccessMs, failuresInRow, lastFailureMs, onQueue, indexed, kept
      = unpackStruct(HOT, packedHot)
    local succeededBefore, unjudgedBefore = succeeded, unjudged
    local isPerIndex = rules >= PER_INDEX and band(rules, PER_INDEX) ~= 0
    local isReplacingEnded = rules >= REPLACE_ENDED and band(rules, REPLACE_ENDED) ~= 0

    -- The done bits of all successes at once: wasDone has what each was before.
    local wasDone = NONE
    if indexed == 1 then
      local operations, n = {}, 0
      for i = 1, size do
        local e, s = (i - 1) * ENTRY_FIELDS, (i - 1) * STATE_FIELDS
        local phase = states[s + PHASE]
        if (phase == RUNNING or phase == LEAVING) and band(entries[e + FLAGS], FAILED) == 0 then
          operations[n + 1], operations[n + 2], operations[n + 3], operations[n + 4] = 'SET', 'u1', states[s + INDEX], '1'
          n = n + 4
        end
      end
      if n > 0 then wasDone = call('BITFIELD', KEYS[keyBase + 3], unpack(operations)) end
      if n > 0 and isPerIndex then
        local over = {}
        for i = 3, n, 4 do over[#over + 1] = 'f' .. operations[i] end
        call('HDEL', KEYS[keyBase + 6], unpack(over))
      end
    end

    -- All ends first: a failure in the batch holds the gate for every slot of it.
    local records, recordsFrom, successes = {}, 0, 0
    local orders, overlays = NONE, NONE
    local firstPod, lastPod = math.huge, 0
    for i = 1, size do
      local e, s = (i - 1) * ENTRY_FIELDS, (i - 1) * STATE_FIELDS
      local phase, pod = states[s + PHASE], entries[e + POD_NUMBER]
      if phase then firstPod, lastPod = math.min(firstPod, pod), math.max(lastPod, pod) end
      local index, flags, why = states[s + INDEX], entries[e + FLAGS], entries[e + WHY]
      if phase and phase >= STOPPING and phase ~= FREE then
        if phase < FREE then terminating = terminating - 1 end
        if orders == NONE then orders = {} end
        orders[#orders + 1] = uid .. ':' .. entries[e + SLOT_NUMBER]
        if phase == RETURNING and (completions < 0 or index < completions) then
          retryCount = retryCount + call('ZADD', KEYS[keyBase + 4], index, index)
        elseif phase == LEAVING and why ~= REASON_DRAINED and why ~= REASON_ROLLED_BACK then
          why = REASON_DELETED
        end
      end
      if phase == RUNNING or phase == LEAVING or phase == FREE then
        local startMs = states[s + START_MS]
        -- FAILED and HAS_LOG are the same bits in an entry and in a record.
        local recordFlags = FLAG_PRESENT + band(flags, FAILED + HAS_LOG)
        if overlayOf[i] then
          recordFlags = recordFlags + FLAG_OVERLAY
          if overlays == NONE then overlays = {} end
          overlays[#overlays + 1] = pod
          overlays[#overlays + 1] = overlayOf[i]
        end
        local record = pack(POD, index, states[s + NODE], startMs, math.max(0, now - startMs), entries[e + EXIT_CODE],
          recordFlags, why, rv)
        -- Of a pod that its user deleted nothing is left.
        if phase == RUNNING then
          -- Pods mostly end in the order of their numbers: records that follow on each other go in one write.
          local length = #records
          if length > 0 and (pod ~= recordsFrom + length or pod % PODS_PER_CHUNK == 0) then
            kept = kept + keepRecords(chunkKey, chunkArgument, chunkCount, recordsFrom, records)
            records, length = {}, 0
          end
          if length == 0 then recordsFrom = pod end
          records[length + 1] = record
          active, running, jobRestarts = active - 1, running - 1, jobRestarts - states[s + RESTARTS]
        end
        local isLoss = false
        if phase == FREE then
          -- The Job reckons with it no more, nor with its record.
          keepRecords(chunkKey, chunkArgument, chunkCount, pod, { record })
        elseif band(flags, FAILED) == 0 then
          successes = successes + 1
          if wasDone[successes] ~= 1 then succeeded = succeeded + 1 end
          lastSuccessMs = now
        else
          call('HSET', KEYS[keyBase + 5], pod, record)
          unjudged, decisionVersion = unjudged + 1, decisionVersion + 1
          isLoss = why == REASON_DRAINED or why == REASON_ROLLED_BACK
        end
        if isLoss then
          if call('HINCRBY', KEYS[keyBase + 6], index, 1) == 1 then lossCount = lossCount + 1 end
        elseif lossCount > 0 and phase ~= FREE then
          lossCount = lossCount - call('HDEL', KEYS[keyBase + 6], index)
        end
      end
    end

    -- Then each slot gets its next pod, or is closed.
    local cap = 0
    if isGateOpen(limit, rules, unjudged, notBeforeMs, deadlineMs, now) then
      cap = capOf(limit, completions, succeeded)
      if isReplacingEnded then cap = cap - terminating end
    end
    local slots, closed, claims, grants, isContended = {}, NONE, NONE, NONE, nil
    for i = 1, size do
      local e, s = (i - 1) * ENTRY_FIELDS, (i - 1) * STATE_FIELDS
      local phase, slot, flags = states[s + PHASE], entries[e + SLOT_NUMBER], entries[e + FLAGS]
      local goesOn = phase == RUNNING and active < cap and band(flags, FAILED + LEAVE) == 0
        and (retryCount > 0 or completions < 0 or cursor < completions)
      if phase and not goesOn then
        answers[i] = pack(ANSWER, rolledBack[i] and ROLLED_BACK or RELEASED, 0, 0, 0)
        if closed == NONE then closed = {} end
        if claims == NONE then claims = {} end
        closed[#closed + 1] = slot
        claims[#claims + 1] = uid .. ':' .. slot
        if #held[i] > SLOT_BYTES then
          local grant = string.sub(held[i], SLOT_BYTES + 1)
          if grants == NONE then grants = {} end
          grants[grant] = (grants[grant] or 0) + 1
        end
      elseif phase then
        local index, failures = cursor, nil
        if retryCount > 0 then
          index, retryCount = tonumber(call('ZPOPMIN', KEYS[keyBase + 4])[1]), retryCount - 1
          if isPerIndex then failures = call('HGET', KEYS[keyBase + 6], 'f' .. index) end
        else
          cursor = cursor + 1
        end
        podCount, active = podCount + 1, active + 1
        if isContended == nil and band(flags, QUANTUM_OVER) ~= 0 then
          isContended = tonumber(call('HGET', KEYS[7], ARGV[argument + 1]) or 0) > now
        end
        local answer, nextPhase, startMs = NEXT, RUNNING, now
        if isContended and band(flags, QUANTUM_OVER) ~= 0 then
          answer, nextPhase, startMs = YIELD, PENDING, 0
          call('ZADD', KEYS[keyBase + 8], podCount, slot)
          if claims == NONE then claims = {} end
          claims[#claims + 1] = uid .. ':' .. slot
        else
          running = running + 1
        end
        answers[i] = pack(ANSWER, answer, podCount, index, startMs)
        local n = #slots
        slots[n + 1] = slot
        slots[n + 2] = pack(SLOT, podCount, index, entries[e + POD_NUMBER], nextPhase, 0, entries[e + ATTEMPTS],
          states[s + NODE], session, now, startMs, rv, states[s + ASKED])
        if failures then
          if answer == NEXT then answers[i] = pack(ANSWER, RETRY, podCount, index, startMs) .. failures end
          slots[n + 2] = string.sub(slots[n + 2], 1, FAILURES_AT - 1) .. failures
            .. string.sub(slots[n + 2], FAILURES_END + 1)
        end
        if #held[i] > SLOT_BYTES then slots[n + 2] = slots[n + 2] .. string.sub(held[i], SLOT_BYTES + 1) end
      end
    end

    if #records > 0 then kept = kept + keepRecords(chunkKey, chunkArgument, chunkCount, recordsFrom, records) end
    if #slots > 0 then call('HSET', KEYS[keyBase + 2], unpack(slots)) end
    if closed ~= NONE then call('HDEL', KEYS[keyBase + 2], unpack(closed)) end
    if claims ~= NONE then call('SREM', KEYS[5], unpack(claims)) end
    if orders ~= NONE then call('HDEL', KEYS[6], unpack(orders)) end
    if overlays ~= NONE then call('HSET', KEYS[keyBase + 7], unpack(overlays)) end

    if grants ~= NONE then
      local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
      giveBack({ used = KEYS[11], waiting = KEYS[12] }, due, grants, now)
    end

    -- Does the controller have to look, and when?
    local isFinished = succeeded > succeededBefore
      and (completions < 0 and succeededBefore == 0 or completions >= 0 and succeeded >= completions
        or rules >= EACH_SUCCESS)
    -- A slot was closed: is there another one to be opened or offered, or the Job to be ended?
    local isShort = closed ~= NONE and (active == 0 or active > running
      or active < cap and (retryCount > 0 or completions < 0 or cursor < completions))
    local lookMs = 0
    if unjudged > unjudgedBefore or isFinished or isShort or orders ~= NONE and terminating == 0 then
      lookMs = now
    elseif foldAtMs <= now then
      foldAtMs = now + 1000
      lookMs = foldAtMs
    end
    if lookMs > 0 then
      trigger({ set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }, 'job:' .. uid, lookMs, now)
    end

    local n = #writes
    writes[n + 1], writes[n + 2] = KEYS[keyBase + 1], pack(HOT,
      generation, decisionVersion, limit, notBeforeMs, deadlineMs, rules, completions, active, running,
      terminating, succeeded, failed, limitFailures, unjudged, jobRestarts, podCount, nextSlot, cursor,
      retryCount, lossCount, foldAtMs, lastSuccessMs, failuresInRow, lastFailureMs, onQueue, indexed, kept)
    if read[2] then addPodsEntry(KEYS[8], rv, uid, firstPod, math.max(lastPod, podCount)) end
  end

  for i = 1, size do
    if not answers[i] then answers[i] = pack(ANSWER, STALE, 0, 0, 0) end
  end
  replies[job] = table.concat(answers, '', 1, size)
  keyBase, argument = chunkKey + chunkCount, chunkArgument + chunkCount + overlayCount + 1
end

if #writes > 0 then call('MSET', KEYS[1], string.format('%d', rv), unpack(writes)) end
return table.concat(replies)
