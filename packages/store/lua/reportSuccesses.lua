#!lua flags=allow-oom
--[[
  reportSuccesses: what report does, for Jobs of which nothing is to be said but that pods succeeded and that their
  slots go on: most reports of a large Job. All else is refused, with nothing written, and goes to report.

  Caller   worker (the reporter, for Jobs whose last reports were such)

  KEYS[1]   string  <tag>:clock
  KEYS[2]   string  <tag>:watchers:pods
  KEYS[3]   zset    <tag>:sessions
  KEYS[4]   hash    <tag>:contended   queue to time in ms
  then for each Job:
  KEYS[+1]  string  <tag>:job:<uid>:hot
  KEYS[+2]  hash    <tag>:job:<uid>:slots
  KEYS[+3]  string  <tag>:job:<uid>:done      bitmap
  KEYS[+4+] string  <tag>:job:<uid>:pods:<chunk>   the chunks of the Job's entries, 1024 records each

  ARGV[1]  nowMs      test clock, or ''
  ARGV[2]  session    8 bytes
  ARGV[3]  sessionId  the same, 16 hex digits
  then for each Job:
  ARGV[+1]  queue, as in <tag>:contended; '' = no entry's quantum is over
  ARGV[+2]  entries, packed as those of report; of the flags only 2 and 8
  ARGV[+3]  number of chunks, then the number of each

  Returns  a list, for each Job in order one string: the answers to its entries as those of report; '' = refused
           answers: 1 NEXT

  Refused is a Job of which an entry is not for the present pod of its slot, or that pod does not simply run; that has
  no next pod for each of the slots; that is finished by these successes, has to be looked at now or at each success;
  whose indexes are tried again, or failed before; and all Jobs when the session ended or pods are watched. What is
  written is what report would write: a test compares them. Safe to retry: what was written is refused then, and report
  knows it. O(entries). One hash tag.

  It has a third of the keys and a quarter of the code of report, and a key costs Redis as much as a command, the worker
  more. docs/design/0001-engine.md has figures.
]]
-- @include clock
-- @include record
-- @include chunks
-- @include gate
local NEXT, ANSWER = 1, '>BI4I4I6'
local ENTRY, ENTRY_BYTES, ENTRY_FIELDS, HAS_LOG = 'I4I4I4BBB', 15, 6, 2
local SLOT_NUMBER, POD_NUMBER, ATTEMPTS, FLAGS, EXIT_CODE, WHY = 1, 2, 3, 4, 5, 6
local SEEN_FIELDS, INDEX, NODE, START_MS, ASKED = 4, 1, 2, 3, 4
local call, pack, unpackStruct, band = redis.call, struct.pack, struct.unpack, bit.band
local session = ARGV[2]

local hotKeys, keyBase, argument = {}, 4, 4
while argument <= #ARGV do
  local chunkCount = tonumber(ARGV[argument + 2])
  hotKeys[#hotKeys + 1] = KEYS[keyBase + 1]
  keyBase, argument = keyBase + 3 + chunkCount, argument + 3 + chunkCount
end
local read = call('MGET', KEYS[1], KEYS[2], unpack(hotKeys))
local isRefused = read[2] or not call('ZSCORE', KEYS[3], ARGV[3])
local last = tonumber(read[1] or 0)
local now = timeAfter(last, ARGV[1])
local rv = versionAfter(last, now)
local writes, replies = {}, {}

keyBase, argument = 4, 4
for job = 1, #hotKeys do
  local text, chunkCount = ARGV[argument + 1], tonumber(ARGV[argument + 2])
  local size = #text / ENTRY_BYTES
  replies[job] = ''
  local generation, decisionVersion, limit, notBeforeMs, deadlineMs, rules, completions, active, running,
    terminating, succeeded, failed, limitFailures, unjudged, jobRestarts, podCount, nextSlot, cursor,
    retryCount, lossCount, foldAtMs, lastSuccessMs, failuresInRow, lastFailureMs, onQueue, indexed, kept
  local goesOn = not isRefused and read[job + 2]
  if goesOn then
    generation, decisionVersion, limit, notBeforeMs, deadlineMs, rules, completions, active, running,
      terminating, succeeded, failed, limitFailures, unjudged, jobRestarts, podCount, nextSlot, cursor,
      retryCount, lossCount, foldAtMs, lastSuccessMs, failuresInRow, lastFailureMs, onQueue, indexed, kept
      = unpackStruct(HOT, read[job + 2])
    -- As if each index were done for the first time: with fewer successes there is more to do.
    local cap = capOf(limit, completions, succeeded + size)
    if band(rules, REPLACE_ENDED) ~= 0 then cap = cap - terminating end
    goesOn = completions >= 0 and active <= cap and cursor + size <= completions and succeeded + size < completions
      and retryCount == 0 and lossCount == 0 and foldAtMs > now and band(rules, PER_INDEX + EACH_SUCCESS) == 0
      and isGateOpen(limit, rules, unjudged, notBeforeMs, deadlineMs, now)
      and (ARGV[argument] == '' or tonumber(call('HGET', KEYS[4], ARGV[argument]) or 0) <= now)
  end

  local entries, slotNames, held, seen
  if goesOn then
    entries = { unpackStruct('>' .. string.rep(ENTRY, size), text) }
    -- As text: a number that is an argument of a command costs as much as half the command.
    slotNames = {}
    for i = 1, size do slotNames[i] = string.format('%d', entries[(i - 1) * ENTRY_FIELDS + SLOT_NUMBER]) end
    held = call('HMGET', KEYS[keyBase + 2], unpack(slotNames))
    -- Rows of fields, as in report.
    seen = {}
    for i = 1, size do
      if not held[i] then
        goesOn = false
        break
      end
      local e, s = (i - 1) * ENTRY_FIELDS, (i - 1) * SEEN_FIELDS
      local present, index, _, phase, restarts, attempts, node, holder, _, startMs, _, asked = unpackStruct(SLOT, held[i])
      if present ~= entries[e + POD_NUMBER] or phase ~= RUNNING or holder ~= session or attempts ~= entries[e + ATTEMPTS] then
        goesOn = false
        break
      end
      seen[s + INDEX], seen[s + NODE], seen[s + START_MS], seen[s + ASKED] = index, node, startMs, asked
      jobRestarts = jobRestarts - restarts
    end
  end

  if goesOn then
    local newly = size
    if indexed == 1 then
      local operations = {}
      for i = 1, size do
        local n = (i - 1) * 4
        operations[n + 1], operations[n + 2], operations[n + 3], operations[n + 4] =
          'SET', 'u1', seen[(i - 1) * SEEN_FIELDS + INDEX], '1'
      end
      for _, was in ipairs(call('BITFIELD', KEYS[keyBase + 3], unpack(operations))) do newly = newly - was end
    end
    local slots, answers, records, recordsFrom = {}, {}, {}, 0
    for i = 1, size do
      local e, s = (i - 1) * ENTRY_FIELDS, (i - 1) * SEEN_FIELDS
      local pod, startMs = entries[e + POD_NUMBER], seen[s + START_MS]
      local length = #records
      -- Pods mostly end in the order of their numbers: records that follow on each other go in one write.
      if length > 0 and (pod ~= recordsFrom + length or pod % PODS_PER_CHUNK == 0) then
        kept = kept + keepRecords(keyBase + 3, argument + 2, chunkCount, recordsFrom, records)
        records, length = {}, 0
      end
      if length == 0 then recordsFrom = pod end
      records[length + 1] = pack(POD, seen[s + INDEX], seen[s + NODE], startMs, math.max(0, now - startMs),
        entries[e + EXIT_CODE], FLAG_PRESENT + band(entries[e + FLAGS], HAS_LOG), entries[e + WHY], rv)
      podCount = podCount + 1
      slots[2 * i - 1] = slotNames[i]
      slots[2 * i] = pack(SLOT, podCount, cursor, pod, RUNNING, 0, entries[e + ATTEMPTS], seen[s + NODE], session, now,
        now, rv, seen[s + ASKED])
      if #held[i] > SLOT_BYTES then slots[2 * i] = slots[2 * i] .. string.sub(held[i], SLOT_BYTES + 1) end
      answers[i] = pack(ANSWER, NEXT, podCount, cursor, now)
      cursor = cursor + 1
    end
    kept = kept + keepRecords(keyBase + 3, argument + 2, chunkCount, recordsFrom, records)
    call('HSET', KEYS[keyBase + 2], unpack(slots))
    succeeded, lastSuccessMs = succeeded + newly, math.max(lastSuccessMs, now)
    local n = #writes
    writes[n + 1], writes[n + 2] = hotKeys[job], pack(HOT,
      generation, decisionVersion, limit, notBeforeMs, deadlineMs, rules, completions, active, running,
      terminating, succeeded, failed, limitFailures, unjudged, jobRestarts, podCount, nextSlot, cursor,
      retryCount, lossCount, foldAtMs, lastSuccessMs, failuresInRow, lastFailureMs, onQueue, indexed, kept)
    replies[job] = table.concat(answers)
  end
  keyBase, argument = keyBase + 3 + chunkCount, argument + 3 + chunkCount
end

if #writes > 0 then call('MSET', KEYS[1], string.format('%d', rv), unpack(writes)) end
return replies
