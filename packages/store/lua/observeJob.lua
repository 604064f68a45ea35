#!lua flags=no-writes
--[[
  observeJob: one atomic look at all that decisions about some Jobs need.

  Caller   controller; the Jobs that are looked at in one tick go together

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:lanes              fitting key to lanes of live workers
  KEYS[3]  hash    <tag>:queues             queue to unfinished Jobs with slots
  KEYS[4]  zset    <tag>:owned              what belongs to which owner
  KEYS[5]  zset    <tag>:capacity           what live workers have for pods that request something
  then for each Job:
  KEYS[+1] hash    <tag>:job:<uid>
  KEYS[+2] string  <tag>:job:<uid>:hot
  KEYS[+3] hash    <tag>:job:<uid>:unjudged   pod number to packed record
  KEYS[+4] hash    <tag>:job:<uid>:losses     index to losses in a row, f<index> to failures
  KEYS[+5] zset    <tag>:job:<uid>:pending    slot, scored by pod number

  ARGV[1]  nowMs    test clock, or ''
  then for each Job:
  ARGV[+1] uid      string
  ARGV[+2] pending  how many Pending slots to name, 0..1000

  Returns  {nowMs, look, look, ...}, a look at each Job in order; nil when there is no such Job (any more), else
           {job fields, packed hot state, {pod, record, losses, failures, ...}, {slot, ...}, pendingCount, lanes,
           jobsOnQueue, 1 when something belongs to one of its pods, else 0}; failures: how often pods of the index
           failed before, packed, or ''

  lanes: of a Job whose pods request something as many as fit. At most 500 unjudged pods of a Job. When some Jobs had
  many pods to name, or sessions to look at, the rest of the Jobs are left out: ask again for them.
  O(Jobs + 500 + pending), and the sessions when pods request something. Writes nothing, so it runs when memory is
  full too: a Job's deletion, which frees some, begins with it. One hash tag.
]]
-- @include clock
-- @include record
-- @include lanes
-- Pods named before a script leaves the rest of the Jobs out: bounds its time. So many sessions count as a pod.
local ENOUGH_PODS, SESSIONS_PER_POD = 200, 16
local lanesOf, jobsOn = {}, {}

local function readUnjudged(unjudgedKey, lossesKey)
  local flat
  if redis.call('HLEN', unjudgedKey) <= 500 then
    flat = redis.call('HGETALL', unjudgedKey)
  else
    flat = redis.call('HSCAN', unjudgedKey, '0', 'COUNT', 400)[2]
  end
  local unjudged = {}
  for i = 1, math.min(#flat, 1000), 2 do
    local index = string.format('%.0f', (struct.unpack('>I4', flat[i + 1])))
    local before = redis.call('HMGET', lossesKey, index, 'f' .. index)
    local n = #unjudged
    unjudged[n + 1], unjudged[n + 2] = flat[i], flat[i + 1]
    unjudged[n + 3], unjudged[n + 4] = before[1] or '0', before[2] or ''
  end
  return unjudged
end

-- The uids of a Job's pods begin as its own; what belongs to the Job itself lies between them.
local function hasOwningPods(uid)
  local prefix = string.sub(uid, 1, 24)
  local below = redis.call('ZRANGEBYLEX', KEYS[4], '[' .. prefix, '(' .. uid .. '/', 'LIMIT', 0, 1)
  if #below > 0 then return 1 end
  return #redis.call('ZRANGEBYLEX', KEYS[4], '[' .. uid .. '0', '(' .. prefix .. 'g', 'LIMIT', 0, 1)
end

local function valueOf(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

local looks = { string.format('%.0f', (readClock(KEYS[1], ARGV[1]))) }
local podsNamed = 0
local keyBase = 5
for argument = 2, #ARGV, 2 do
  local uid, pendingWanted = ARGV[argument], tonumber(ARGV[argument + 1])
  local job = redis.call('HGETALL', KEYS[keyBase + 1])
  -- What is left of a purged Job is a mark, see purgeJob.
  local hot = #job > 0 and redis.call('GET', KEYS[keyBase + 2])
  if not hot then
    looks[#looks + 1] = false
  else
    local key, queue = valueOf(job, 'fittingKey'), valueOf(job, 'queue')
    lanesOf[key] = lanesOf[key] or countLanes(KEYS[2], KEYS[5], key)
    jobsOn[queue] = jobsOn[queue] or redis.call('HGET', KEYS[3], queue) or '0'
    local unjudged = readUnjudged(KEYS[keyBase + 3], KEYS[keyBase + 4])
    local pending, pendingCount = {}, redis.call('ZCARD', KEYS[keyBase + 5])
    if pendingCount > 0 and pendingWanted > 0 then
      pending = redis.call('ZRANGE', KEYS[keyBase + 5], 0, pendingWanted - 1)
    end
    looks[#looks + 1] = { job, hot, unjudged, pending, pendingCount, lanesOf[key], jobsOn[queue], hasOwningPods(uid) }
    podsNamed = podsNamed + #unjudged / 4 + #pending
    if podsNamed + sessionsSeen / SESSIONS_PER_POD >= ENOUGH_PODS then break end
  end
  keyBase = keyBase + 5
end
return looks
