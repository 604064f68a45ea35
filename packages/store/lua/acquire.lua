#!lua flags=allow-oom
--[[
  acquire: the holders of delivered QueueJobs ask for their slots' pods.

  Caller   worker; what one session asks in one tick goes together

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  zset    <tag>:sessions
  KEYS[6]  hash    <tag>:session:<id>
  KEYS[7]  set     <tag>:session:<id>:claims
  KEYS[8]  stream  <tag>:watch
  KEYS[9]  string  <tag>:watchers:pods
  then for each slot:
  KEYS[+1] hash    <tag>:job:<uid>
  KEYS[+2] string  <tag>:job:<uid>:hot
  KEYS[+3] hash    <tag>:job:<uid>:slots
  KEYS[+4] zset    <tag>:job:<uid>:pending

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  ARGV[3]  sessionId        16 hex digits
  ARGV[4]  session          the same, 8 bytes
  ARGV[5]  leaseMs          for how long a delivery parks when no lease end is known
  then for each slot:
  ARGV[+1] uid              string
  ARGV[+2] slot             integer
  ARGV[+3] attemptsStarted  of the delivery
  ARGV[+4] knownGeneration  of the object that the worker has, 0 = none

  Returns a list, for each slot in order
           {1, podNumber, index, createdMs, startMs, restarts, generation, job fields or {}, failures}  RUN
                                         job fields: of the first slot of a Job whose generation is not known;
                                         failures: of the index before, packed
           { 0}           GONE           no such slot: finish the QueueJob
           {-1, untilMs}  HELD           the gate is closed for the moment
           {-2, untilMs}  PARKED         another holder has it
           {-3}           SESSION_ENDED  start a new session

  The same delivery may ask twice and gets the same claim while it has it. A delivery that was refused, or that
  yielded the slot, never gets it: its question is an old one that came late, and the claim would be nobody's. A
  pod that was told to stop in between is given too: only its holder can end it, and the order comes with the
  heartbeat. O(slots log n), at most 32. One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local isAlive = redis.call('ZSCORE', KEYS[5], ARGV[3])
local now, rv = readClock(KEYS[1], ARGV[1])
local node
-- Jobs whose object is in the answer already.
local sent = {}

local function text(number)
  return string.format('%.0f', number)
end

local function run(jobKey, generation, known, packed, createdMs, startMs, restarts)
  local pod, index = struct.unpack('>I4I4', packed)
  local job = {}
  if generation ~= known and not sent[jobKey] then
    sent[jobKey] = true
    job = redis.call('HGETALL', jobKey)
  end
  return { 1, text(pod), text(index), text(createdMs), text(startMs), restarts, generation, job,
    string.sub(packed, FAILURES_AT, FAILURES_END) }
end

local function ask(argument, keyBase)
  local uid, slot, attemptsNow, known = ARGV[argument], ARGV[argument + 1], tonumber(ARGV[argument + 2]), ARGV[argument + 3]
  local jobKey, hotKey, slotsKey = KEYS[keyBase + 1], KEYS[keyBase + 2], KEYS[keyBase + 3]
  local packed = redis.call('HGET', slotsKey, slot)
  if not packed then return { 0 } end
  local pod, index, previous, phase, restarts, attempts, _, holder, createdMs, startMs, _, asked =
    struct.unpack(SLOT, packed)

  -- Should this very question come again, late, nobody will wait for a claim any more.
  local function refuse(code, untilMs)
    if attemptsNow > asked then
      local changed = string.sub(packed, 1, ASKED_OFFSET) .. struct.pack('>I4', attemptsNow)
      redis.call('HSET', slotsKey, slot, changed .. string.sub(packed, #changed + 1))
    end
    return { code, text(untilMs) }
  end

  if phase ~= PENDING then
    if holder == ARGV[4] then
      if attemptsNow < attempts then return { 0 } end
      if attemptsNow == attempts then
        local generation = redis.call('HGET', jobKey, 'generation')
        return run(jobKey, generation, known, packed, createdMs, startMs, restarts)
      end
      return refuse(-2, now + tonumber(ARGV[5]))
    end
    local hex = string.gsub(holder, '.', function(byte) return string.format('%02x', string.byte(byte)) end)
    local leaseEnd = tonumber(redis.call('ZSCORE', KEYS[5], hex) or 0)
    -- Ended or about to be: the controller takes its pods away, and then this slot is gone.
    if leaseEnd <= now then trigger(due, 'session:' .. hex, now, now) end
    return refuse(-2, math.max(leaseEnd, now + 200))
  end

  -- A QueueJob that was lost and offered again begins at 1: it gets here with each delivery a step nearer.
  if attemptsNow <= asked then return { -1, text(now + 20) } end
  local hot = readHot(hotKey)
  if hot.unjudged > 0 and hot.rules % 2 == 1 then return refuse(-1, now + 20) end
  if hot.deadlineMs > 0 and now >= hot.deadlineMs then return refuse(-1, now + 200) end
  rv = math.max(rv + 1, now * 4096)
  redis.call('SET', KEYS[1], rv)
  node = node or tonumber(redis.call('HGET', KEYS[6], 'nodeNumber'))
  redis.call('HSET', slotsKey, slot, struct.pack(SLOT_HEAD, pod, index, previous, RUNNING, restarts, attemptsNow,
    node, ARGV[4], createdMs, now, rv, attemptsNow) .. string.sub(packed, FAILURES_AT))
  redis.call('ZREM', KEYS[keyBase + 4], slot)
  redis.call('SADD', KEYS[7], uid .. ':' .. slot)
  hot.running = hot.running + 1
  writeHot(hotKey, hot)
  tellPods(KEYS[8], KEYS[9], rv, uid, pod, pod)
  return run(jobKey, text(hot.generation), known, packed, createdMs, now, restarts)
end

local replies = {}
local keyBase = 9
for argument = 6, #ARGV, 4 do
  replies[#replies + 1] = isAlive and ask(argument, keyBase) or { -3 }
  keyBase = keyBase + 4
end
return replies
