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
-- @include look
-- Pods named before a script leaves the rest of the Jobs out: bounds its time. So many sessions count as a pod.
local ENOUGH_PODS, SESSIONS_PER_POD = 200, 16
local shared = { lanes = KEYS[2], queues = KEYS[3], owned = KEYS[4], capacity = KEYS[5] }
local looks = { string.format('%.0f', (readClock(KEYS[1], ARGV[1]))) }
local podsNamed = 0
local keyBase = 5
for argument = 2, #ARGV, 2 do
  local own = { job = KEYS[keyBase + 1], hot = KEYS[keyBase + 2], unjudged = KEYS[keyBase + 3],
    losses = KEYS[keyBase + 4], pending = KEYS[keyBase + 5] }
  local look, named = lookAt(shared, own, ARGV[argument], tonumber(ARGV[argument + 1]))
  looks[#looks + 1] = look
  podsNamed = podsNamed + named
  if podsNamed + sessionsSeen / SESSIONS_PER_POD >= ENOUGH_PODS then break end
  keyBase = keyBase + 5
end
return looks
