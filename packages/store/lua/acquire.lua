#!lua flags=allow-oom
--[[
  acquire: the holder of a delivered QueueJob asks for the slot's pod.

  Caller   worker

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   zset    <tag>:sessions
  KEYS[6]   hash    <tag>:session:<id>
  KEYS[7]   set     <tag>:session:<id>:claims
  KEYS[8]   hash    <tag>:job:<uid>
  KEYS[9]   string  <tag>:job:<uid>:hot
  KEYS[10]  hash    <tag>:job:<uid>:slots
  KEYS[11]  zset    <tag>:job:<uid>:pending
  KEYS[12]  stream  <tag>:watch
  KEYS[13]  string  <tag>:watchers:pods

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  ARGV[3]  uid              string
  ARGV[4]  slot             integer
  ARGV[5]  attemptsStarted  of the delivery
  ARGV[6]  sessionId        16 hex digits
  ARGV[7]  session          the same, 8 bytes
  ARGV[8]  knownGeneration  of the object that the worker has, 0 = none
  ARGV[9]  leaseMs          for how long a delivery parks when no lease end is known

  Returns  {1, podNumber, index, createdMs, startMs, restarts, generation, job fields or {}}  RUN
           { 0}           GONE           no such slot: finish the QueueJob
           {-1, untilMs}  HELD           the gate is closed for the moment
           {-2, untilMs}  PARKED         another holder has it
           {-3}           SESSION_ENDED  start a new session

  The same delivery may ask twice and gets the same claim while it has it. A delivery that was refused, or that
  yielded the slot, never gets it: its question is an old one that came late, and the claim would be nobody's. A
  pod that was told to stop in between is given too: only its holder can end it, and the order comes with the
  heartbeat. O(log n). One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid, slot, attemptsNow = ARGV[3], ARGV[4], tonumber(ARGV[5])
if not redis.call('ZSCORE', KEYS[5], ARGV[6]) then return { -3 } end
local packed = redis.call('HGET', KEYS[10], slot)
if not packed then return { 0 } end
local pod, index, previous, phase, restarts, attempts, _, holder, createdMs, startMs, _, asked =
  struct.unpack(SLOT, packed)
local now = readClock(KEYS[1], ARGV[1])

local function text(number)
  return string.format('%.0f', number)
end

local function run()
  local generation = redis.call('HGET', KEYS[8], 'generation')
  local job = {}
  if generation ~= ARGV[8] then job = redis.call('HGETALL', KEYS[8]) end
  return { 1, text(pod), text(index), text(createdMs), text(startMs), restarts, generation, job }
end

-- Should this very question come again, late, nobody will wait for a claim any more.
local function refuse(code, untilMs)
  if attemptsNow > asked then
    local changed = string.sub(packed, 1, ASKED_OFFSET) .. struct.pack('>I4', attemptsNow)
    redis.call('HSET', KEYS[10], slot, changed .. string.sub(packed, #changed + 1))
  end
  return { code, text(untilMs) }
end

if phase ~= PENDING then
  if holder == ARGV[7] then
    if attemptsNow < attempts then return { 0 } end
    if attemptsNow == attempts then return run() end
    return refuse(-2, now + tonumber(ARGV[9]))
  end
  local hex = string.gsub(holder, '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  local leaseEnd = tonumber(redis.call('ZSCORE', KEYS[5], hex) or 0)
  -- Ended or about to be: the controller takes its pods away, and then this slot is gone.
  if leaseEnd <= now then trigger(due, 'session:' .. hex, now, now) end
  return refuse(-2, math.max(leaseEnd, now + 200))
end

-- A QueueJob that was lost and offered again begins at 1: it gets here with each delivery a step nearer.
if attemptsNow <= asked then return { -1, text(now + 20) } end
local hot = readHot(KEYS[9])
if hot.hold == 1 and hot.unjudged > 0 then return refuse(-1, now + 20) end
if hot.deadlineMs > 0 and now >= hot.deadlineMs then return refuse(-1, now + 200) end
local rv = nextResourceVersion(KEYS[1], now)
local node = tonumber(redis.call('HGET', KEYS[6], 'nodeNumber'))
startMs = now
redis.call('HSET', KEYS[10], slot, struct.pack(SLOT, pod, index, previous, RUNNING, restarts, attemptsNow,
  node, ARGV[7], createdMs, startMs, rv, attemptsNow))
redis.call('ZREM', KEYS[11], slot)
redis.call('SADD', KEYS[7], uid .. ':' .. slot)
hot.running = hot.running + 1
writeHot(KEYS[9], hot)
tellPods(KEYS[12], KEYS[13], rv, uid, pod, pod)
return run()
