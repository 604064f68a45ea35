#!lua flags=allow-oom
--[[
  settleItems: items ended for good, completed or dead-lettered, each counted exactly once.

  Caller   worker; the items that pods of one Job settle in one tick go together

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:wq:<uid>
  KEYS[3]  string  <tag>:wq:<uid>:settled    bitmap
  KEYS[4]  stream  <tag>:wq:<uid>:outcomes
  KEYS[5]  hash    <tag>:wq:<uid>:dead       id to JSON
  KEYS[6]  hash    <tag>:wq:<uid>:losses
  KEYS[7]  hash    <tag>:job:<uid>:slots     of the Job whose pods settle
  KEYS[8]  hash    <tag>:job:<uid>           itemsSettled

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  of work queues
  ARGV[3]  uid          of the work queue
  ARGV[4]  session      8 bytes
  ARGV[5]  jobUid       string
  ARGV[6]  ids          of all items, packed: I4 each, big-endian
  ARGV[7]  records      of all items in the same order, packed: podNumber I4, flags B (1 dead-lettered), attempts I2,
                        length I4 of what follows: the result as JSON or nothing, or of a dead-lettered item JSON of
                        what is kept of it; big-endian
  ARGV[8]  deadCount    how many of them are dead-lettered
  ARGV[9]  jobItems     so many items the Job's pods settle in all, one each; 0 = any number, and they are not counted
  then for each pod, in the order of the items:
  ARGV[+1] slot
  ARGV[+2] podNumber
  ARGV[+3] how many of the items are its

  Returns  one byte for each item in order; answers: 1 SETTLED, 2 ALREADY, 3 FENCED, 4 GONE
           FENCED: the slot has another pod, or another session has it. GONE: no such work queue

  An item that is settled stays as it is, so a second run settles nothing more. At most 500 items, O(items). One
  hash tag.
]]
-- @include bits
-- @include clock
-- @include record
-- @include workQueue
local SETTLED, ALREADY, FENCED, GONE = '\1', '\2', '\3', '\4'
local RECORD, RECORD_BYTES = '>I4BI2I4', 11
-- Of the stream: what an entry takes beside its items, about. Marks in it, to know how much lies after them.
local ENTRY_BYTES, MARKS = 64, 8
local count = #ARGV[6] / 4
local queue = redis.call('HMGET', KEYS[2], 'enqueued', 'settled', 'sealedMs', 'open', 'completed', 'dead',
  'resultTtlMs', 'outcomesUntilMs', 'maxResultBytes', 'markBytes', 'outcomesFrom')
if not queue[1] then return string.rep(GONE, count) end

local slots = {}
for i = 10, #ARGV, 3 do slots[#slots + 1] = ARGV[i] end
local held = redis.call('HMGET', KEYS[7], unpack(slots))
local isFenced, last = {}, 0
for pod = 1, #slots do
  local isHolder, first = false, last + 1
  last = last + tonumber(ARGV[9 + 3 * pod])
  if held[pod] then
    local number, _, _, phase, _, _, _, holder = struct.unpack(SLOT, held[pod])
    isHolder = number == tonumber(ARGV[8 + 3 * pod]) and holder == ARGV[4] and phase ~= PENDING
  end
  if not isHolder then
    for i = first, last do isFenced[i] = true end
  end
end

local ids = { struct.unpack('>' .. string.rep('I4', count), ARGV[6]) }
ids[count + 1] = nil
local bits = readBits(KEYS[3], ids)
local answers, fresh = {}, 0
for i = 1, count do
  if isFenced[i] then
    answers[i] = FENCED
  elseif setBit(bits, ids[i]) then
    answers[i] = SETTLED
    fresh = fresh + 1
  else
    answers[i] = ALREADY
  end
end
if fresh == 0 then return table.concat(answers) end

-- Nearly always all that was sent is kept as it is.
local keptIds, kept, dead = ARGV[6], ARGV[7], {}
if fresh < count or ARGV[8] ~= '0' then
  local settled, records, position = {}, {}, 1
  for i = 1, count do
    local _, flags, _, length = struct.unpack(RECORD, ARGV[7], position)
    local record = string.sub(ARGV[7], position, position + RECORD_BYTES + length - 1)
    position = position + #record
    if answers[i] == SETTLED then
      settled[#settled + 1] = ids[i]
      if flags == 1 then
        dead[#dead + 1] = ids[i]
        dead[#dead + 1] = string.sub(record, RECORD_BYTES + 1)
        -- The outcome of a dead one has no payload.
        record = string.sub(record, 1, RECORD_BYTES - 4) .. '\0\0\0\0'
      end
      records[#records + 1] = record
    end
  end
  ids, keptIds, kept = settled, struct.pack('>' .. string.rep('I4', fresh), unpack(settled)), table.concat(records)
end

writeBits(KEYS[3], bits)
local now, lastVersion = readClock(KEYS[1], ARGV[1])
redis.call('SET', KEYS[1], versionAfter(lastVersion, now))
local ttlMs = tonumber(queue[7])
-- What is too old goes, and what is too much: a few nodes of the stream with each script.
local oldest = string.format('%.0f', now - ttlMs)
local from = queue[11] or '0-0'
if tonumber(string.match(from, '^%d+')) < now - ttlMs then from = oldest end
local id = redis.call('XADD', KEYS[4], 'MINID', '~', from, string.format('%.0f-*', now),
  'j', ARGV[5], 'i', keptIds, 'b', kept)
local settledCount = queue[2] + fresh
local counts = { 'settled', settledCount, 'completed', (queue[5] or 0) + fresh - #dead / 2 }
if #dead > 0 then
  redis.call('HSET', KEYS[5], unpack(dead))
  counts[5], counts[6] = 'dead', (queue[6] or 0) + #dead / 2
end
if now + ttlMs > tonumber(queue[8] or 0) then
  -- Not with each script: with some time to spare.
  local keepMs = math.ceil(ttlMs * 17 / 16)
  redis.call('PEXPIRE', KEYS[4], keepMs)
  counts[#counts + 1], counts[#counts + 2] = 'outcomesUntilMs', now + keepMs
end
local markBytes = (queue[10] or 0) + #keptIds + #kept + ENTRY_BYTES
if markBytes * MARKS >= tonumber(queue[9]) then
  -- So many bytes lie between two marks. With one mark too many, what is before the second is no more kept.
  local marks = (redis.call('HGET', KEYS[2], 'marks') or '') .. id .. ' '
  local _, known = string.gsub(marks, ' ', ' ')
  if known > MARKS then
    marks = string.match(marks, '^%S+ (.*)$')
    counts[#counts + 1], counts[#counts + 2] = 'outcomesFrom', string.match(marks, '^%S+')
  end
  counts[#counts + 1], counts[#counts + 2] = 'marks', marks
  markBytes = 0
end
counts[#counts + 1], counts[#counts + 2] = 'markBytes', markBytes
redis.call('HSET', KEYS[2], unpack(counts))
if redis.call('EXISTS', KEYS[6]) == 1 then redis.call('HDEL', KEYS[6], unpack(ids)) end
local mayGo = isAllDone(queue[3], queue[1], settledCount, queue[4])
if ARGV[9] ~= '0' then
  -- After the Job's last item pods of it that wait for one need not wait any more.
  local byJob = redis.call('HINCRBY', KEYS[8], 'itemsSettled', fresh)
  mayGo = mayGo or byJob >= tonumber(ARGV[9])
end
if mayGo then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return table.concat(answers)
