#!lua flags=allow-oom
--[[
  tendAdopted: let a Job see what became of pods that it has adopted from one host: that they run, that their user has
  told them to stop, and that they ended, which is counted once.

  Caller   controller; sdk, before what is kept of such a pod is removed

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   string  <tag>:job:<uid>:hot        of the Job
  KEYS[6]   zset    <tag>:job:<uid>:retry
  KEYS[7]   string  <tag>:job:<uid>:done       bitmap
  KEYS[8]   hash    <tag>:job:<uid>:unjudged
  KEYS[9]   hash    <tag>:job:<uid>:losses
  KEYS[10]  hash    <tag>:job:<uid>:adopted
  KEYS[11]  hash    <tag>:job:<uid>:slots      of the host
  KEYS[12]  hash    <tag>:job:<uid>:adopters
  KEYS[13]  stream  <tag>:watch
  KEYS[14]  string  <tag>:watchers:pods
  KEYS[15+] string  <tag>:job:<uid>:pods:<chunk>   of the host, one for each number in ARGV

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          of the Job
  ARGV[4]  hostUid      string
  ARGV[5+] numbers of adoptions, at most 100

  Returns a list, for each number in order
            0  SAME     nothing is new
            1  CHANGED
            2  RUNS_ON  it has to stop, and was not told yet

  A pod that left no record was deleted: it counts as failed. O(numbers). A second run changes nothing more. One hash tag.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
-- @include adopted
-- @include countAdopted
local SAME, CHANGED, RUNS_ON = 0, 1, 2
local uid, hostUid = ARGV[3], ARGV[4]
local hot = readHot(KEYS[5])
local keys = { done = KEYS[7], unjudged = KEYS[8], losses = KEYS[9] }
local now = readClock(KEYS[1], ARGV[1])
local rv, fromPod, toPod
local replies = {}

local function leaveActive(one)
  hot.active = hot.active - 1
  if one.state == 'running' then hot.running = hot.running - 1 end
end

local function deletedRecord(slotPacked)
  local node, startMs = 0, 0
  if slotPacked then
    local _, _, _, _, _, _, slotNode, _, _, slotStartMs = struct.unpack(SLOT, slotPacked)
    node, startMs = slotNode, slotStartMs
  end
  return podRecord(0, node, startMs, now, 137, FLAG_FAILED, REASON_DELETED, rv)
end

-- It is still in its slot, in this phase.
local function seeSlot(one, number, phase, packed)
  local isActive = one.state == 'pending' or one.state == 'running'
  local isTold = phase ~= FREE and phase >= STOPPING
  if not isActive then return isTold and SAME or RUNS_ON end
  if isTold then
    leaveActive(one)
    hot.terminating = hot.terminating + 1
    countAdopted(hot, keys, number, one.index, deletedRecord(packed))
    one.state = 'stopping'
    return CHANGED
  end
  local state = phase == PENDING and 'pending' or 'running'
  if state == one.state then return SAME end
  hot.running = hot.running + (state == 'running' and 1 or -1)
  one.state = state
  return CHANGED
end

local function seeEnd(one, number, record)
  if one.state == 'stopping' or one.state == 'returning' then
    hot.terminating = hot.terminating - 1
    if one.state == 'returning' then giveBackIndex(hot, KEYS[6], one.index) end
  else
    leaveActive(one)
    countAdopted(hot, keys, number, one.index, record or deletedRecord(nil))
  end
  one.state = 'ended'
end

local function see(number, chunkKey)
  local one = hot and readAdopted(KEYS[10], number)
  if not one or one.host ~= hostUid or one.state == 'ended' then return SAME end
  local packed = one.slot ~= '0' and redis.call('HGET', KEYS[11], one.slot)
  local present, phase
  if packed then
    local pod, _, _, slotPhase = struct.unpack(SLOT, packed)
    present, phase = pod == one.pod, slotPhase
  end
  rv = rv or versionAfter(tonumber(redis.call('GET', KEYS[1]) or 0), now)
  if present then
    local reply = seeSlot(one, number, phase, packed)
    if reply == CHANGED then writeAdopted(KEYS[10], number, one) end
    return reply
  end
  local offset = one.pod % PODS_PER_CHUNK * POD_BYTES
  local record = redis.call('GETRANGE', chunkKey, offset, offset + POD_BYTES - 1)
  if #record < POD_BYTES or string.byte(record, 19) == 0 then record = nil end
  seeEnd(one, number, record)
  writeAdopted(KEYS[10], number, one)
  local adopter = redis.call('HGET', KEYS[12], one.pod)
  if adopter and string.match(adopter, '^%S+ %d+') == uid .. ' ' .. number then
    writeAdopter(KEYS[12], one.pod, uid, number, rv, false, string.match(adopter, '%S+$'))
  end
  fromPod, toPod = math.min(fromPod or one.pod, one.pod), math.max(toPod or one.pod, one.pod)
  return CHANGED
end

local isChanged = false
for i = 5, #ARGV do
  local reply = see(ARGV[i], KEYS[15 + i - 5])
  replies[#replies + 1] = reply
  isChanged = isChanged or reply == CHANGED
end
if isChanged then
  redis.call('SET', KEYS[1], string.format('%.0f', rv))
  hot.decisionVersion = hot.decisionVersion + 1
  writeHot(KEYS[5], hot)
  trigger({ set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }, 'job:' .. uid, now, now)
  if fromPod then tellPods(KEYS[13], KEYS[14], rv, hostUid, fromPod, toPod) end
end
return replies
