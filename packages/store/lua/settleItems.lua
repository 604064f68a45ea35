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

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  of work queues
  ARGV[3]  uid          of the work queue
  ARGV[4]  session      8 bytes
  ARGV[5]  jobUid       string
  then for each pod:
  ARGV[+1] slot
  ARGV[+2] podNumber
  ARGV[+3] its items, packed: id I4, flags B (1 dead-lettered), attempts I2, length I4 of what follows: the result as
           JSON or nothing, or of a dead-lettered item JSON of what is kept of it; big-endian

  Returns  one byte for each item in order; answers: 1 SETTLED, 2 ALREADY, 3 FENCED, 4 GONE
           FENCED: the slot has another pod, or another session has it. GONE: no such work queue

  An item that is settled stays as it is, so a second run settles nothing more. At most 500 items, O(items). One
  hash tag.
]]
-- @include clock
-- @include record
-- @include workQueue
local SETTLED, ALREADY, FENCED, GONE = '\1', '\2', '\3', '\4'
local ITEM, ITEM_BYTES = '>I4BI2I4', 11
local queue = redis.call('HMGET', KEYS[2], 'enqueued', 'resultTtlMs')
local slots = {}
for i = 6, #ARGV, 3 do slots[#slots + 1] = ARGV[i] end
local held = redis.call('HMGET', KEYS[7], unpack(slots))

-- All items of the call: arrays, one entry each. refusal[i] is set where the item is not to be settled.
local id, isDead, from, to, refusal, lastOf, operations = {}, {}, {}, {}, {}, {}, {}
for claim = 1, #slots do
  local text, position, refused = ARGV[5 + 3 * claim], 1, FENCED
  if not queue[1] then
    refused = GONE
  elseif held[claim] then
    local pod, _, _, phase, _, _, _, holder = struct.unpack(SLOT, held[claim])
    if pod == tonumber(ARGV[4 + 3 * claim]) and holder == ARGV[4] and phase ~= PENDING then refused = false end
  end
  while position <= #text do
    local i = #id + 1
    local item, flags, _, length = struct.unpack(ITEM, text, position)
    id[i], isDead[i], refusal[i] = item, flags == 1, refused
    from[i], to[i] = position, position + ITEM_BYTES + length - 1
    position = to[i] + 1
    if not refused then
      local n = #operations
      operations[n + 1], operations[n + 2], operations[n + 3], operations[n + 4] = 'SET', 'u1', item, '1'
    end
  end
  lastOf[claim] = #id
end

local before = #operations > 0 and redis.call('BITFIELD', KEYS[3], unpack(operations)) or {}
local answers, settled, dead, outcomes = {}, {}, {}, {}
local i, looked = 0, 0
for claim = 1, #slots do
  local kept = {}
  while i < lastOf[claim] do
    i = i + 1
    if not refusal[i] then looked = looked + 1 end
    answers[i] = refusal[i] or before[looked] == 1 and ALREADY or SETTLED
    if answers[i] == SETTLED then
      local text = string.sub(ARGV[5 + 3 * claim], from[i], to[i])
      settled[#settled + 1] = id[i]
      if isDead[i] then
        dead[#dead + 1] = id[i]
        dead[#dead + 1] = string.sub(text, ITEM_BYTES + 1)
        -- The outcome of a dead one has no payload.
        text = string.sub(text, 1, ITEM_BYTES - 4) .. '\0\0\0\0'
      end
      kept[#kept + 1] = text
    end
  end
  if #kept > 0 then
    outcomes[#outcomes + 1] = ARGV[4 + 3 * claim]
    outcomes[#outcomes + 1] = table.concat(kept)
  end
end
if #settled == 0 then return table.concat(answers) end

local now = readClock(KEYS[1], ARGV[1])
nextResourceVersion(KEYS[1], now)
local time, ttlMs = string.format('%.0f-*', now), tonumber(queue[2])
local oldest = string.format('%.0f', now - ttlMs)
for at = 1, #outcomes, 2 do
  redis.call('XADD', KEYS[4], 'MINID', '~', oldest, time, 'j', ARGV[5], 'p', outcomes[at], 'b', outcomes[at + 1])
end
redis.call('PEXPIRE', KEYS[4], ttlMs)
local completed = #settled - #dead / 2
if completed > 0 then redis.call('HINCRBY', KEYS[2], 'completed', completed) end
if #dead > 0 then
  redis.call('HSET', KEYS[5], unpack(dead))
  redis.call('HINCRBY', KEYS[2], 'dead', #dead / 2)
end
redis.call('HINCRBY', KEYS[2], 'settled', #settled)
if redis.call('EXISTS', KEYS[6]) == 1 then redis.call('HDEL', KEYS[6], unpack(settled)) end
tellAllDone(KEYS[2], ARGV[2], ARGV[3])
return table.concat(answers)
