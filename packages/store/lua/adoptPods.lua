#!lua
--[[
  adoptPods: a Job takes pods that are nobody's for its own: those that run are active from then on, so that it starts so
  many fewer, and those that have ended are counted. All of them lie with one host, see adopted.lua.

  Caller   controller
  Source   the Job controller of Kubernetes, which gives them its ownerReference

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   hash    <tag>:job:<uid>            of the Job
  KEYS[6]   string  <tag>:job:<uid>:hot
  KEYS[7]   zset    <tag>:job:<uid>:retry
  KEYS[8]   string  <tag>:job:<uid>:done       bitmap
  KEYS[9]   hash    <tag>:job:<uid>:unjudged
  KEYS[10]  hash    <tag>:job:<uid>:losses
  KEYS[11]  hash    <tag>:job:<uid>:adopted
  KEYS[12]  hash    <tag>:job:<uid>            of the host
  KEYS[13]  hash    <tag>:job:<uid>:slots
  KEYS[14]  hash    <tag>:job:<uid>:free
  KEYS[15]  hash    <tag>:job:<uid>:changed
  KEYS[16]  hash    <tag>:job:<uid>:adopters
  KEYS[17]  stream  <tag>:watch
  KEYS[18]  string  <tag>:watchers:pods
  KEYS[19+] string  <tag>:job:<uid>:pods:<chunk>   of the host, one for each pod in ARGV

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          of the Job
  ARGV[4]  hostUid      string
  ARGV[5]  hostVersion  resourceVersion of a pod without a Job, as it was seen; '' of other hosts
  ARGV[6+] podNumber, slot (0 = it had ended), index (4294967295 = none) and resourceVersion of the change of its
           metadata (0 = none) for each pod, at most 100: first those that succeeded, then active ones, then failed ones

  Returns a list, for each pod in order
            1  ADOPTED   also when it was by a former run
            0  MOVED     it is not as it was seen: look again; or another Job has it, or it is being stopped
           -1  CLOSED    the Job adopts nothing: it is finished, or being deleted
           -3  TOO_FAR   its index lies 1,000 or more behind those that were given out
           -4  TOO_MANY  the Job has adopted 500 pods

  An active pod without an index that an Indexed Job could give it (none, one out of range, or one that runs or is done)
  is told to stop, and counts for nothing. A second run adopts nothing twice. O(pods + 1,000). One hash tag. Refused when
  memory is full.
]]
-- @include clock
-- @include due
-- @include record
-- @include hot
-- @include watch
-- @include adopted
-- @include countAdopted
local MOST_ADOPTED, MOST_SKIPPED = 500, 1000
local CLOSED, MOVED, ADOPTED, TOO_FAR, TOO_MANY = -1, 0, 1, -3, -4
local uid, hostUid = ARGV[3], ARGV[4]
local job = redis.call('HMGET', KEYS[5], 'name', 'deleted', 'finished', 'deletionMs', 'adopted')
local host = redis.call('HMGET', KEYS[12], 'rv', 'deleted', 'deletionMs', 'bare', 'orphaned')
local hot = readHot(KEYS[6])
local isOpen = hot and job[1] and job[2] == '0' and job[3] == '0' and not job[4]
local isBareThere = host[4] == '1' and host[1] == ARGV[5] and host[2] == '0' and not host[3]
local keys = { done = KEYS[8], unjudged = KEYS[9], losses = KEYS[10] }
local number, count = tonumber(job[5] or 0), redis.call('HLEN', KEYS[11])
local replies, skippedTo = {}, hot and hot.cursor + MOST_SKIPPED
local rv, fromPod, toPod

-- What of the pod is needed; nil when it is not as it was seen.
local function seen(pod, slot, changedVersion, chunkKey)
  local isNobodys = isBareThere or host[5] == '1' or redis.call('HEXISTS', KEYS[14], pod) == 1
  local changed = redis.call('HGET', KEYS[15], pod)
  local version = changed and cjson.decode(changed).resourceVersion or 0
  if not isNobodys or version ~= changedVersion then return nil end
  if slot == '0' then
    local offset = pod % PODS_PER_CHUNK * POD_BYTES
    local record = redis.call('GETRANGE', chunkKey, offset, offset + POD_BYTES - 1)
    if #record < POD_BYTES or string.byte(record, 19) == 0 then return nil end
    return { record = record }
  end
  local packed = redis.call('HGET', KEYS[13], slot)
  if not packed then return nil end
  local present, _, _, phase = struct.unpack(SLOT, packed)
  if present ~= pod or phase ~= PENDING and phase ~= RUNNING and phase ~= FREE then return nil end
  return { isRunning = phase ~= PENDING }
end

local function takeIndexFor(index)
  if hot.indexed ~= 1 then return NO_INDEX, true end
  if index >= hot.completions then return NO_INDEX, false end
  return index, takeThisIndex(hot, KEYS[7], index)
end

local function countEnded(wanted, record)
  local index, isTaken = takeIndexFor(wanted)
  local isFailed = string.byte(record, 19) % 2 == FLAG_FAILED
  if isFailed and not isTaken then
    -- Nothing follows for its index, which another pod has by now. One without an index is never counted.
    if index == NO_INDEX then return end
    hot.failed, hot.limitFailures = hot.failed + 1, hot.limitFailures + 1
  else
    countAdopted(hot, keys, number, index, record)
  end
end

local function adopt(pod, slot, wanted, found)
  number = number + 1
  local one = { host = hostUid, pod = pod, slot = slot, index = NO_INDEX, state = 'ended' }
  if found.record then
    countEnded(wanted, found.record)
  else
    local index, isTaken = takeIndexFor(wanted)
    if isTaken then
      one.index, one.state = index, found.isRunning and 'running' or 'pending'
      hot.active = hot.active + 1
      if found.isRunning then hot.running = hot.running + 1 end
    else
      one.state = 'stopping'
      hot.terminating = hot.terminating + 1
    end
  end
  writeAdopted(KEYS[11], number, one)
  writeAdopter(KEYS[16], pod, uid, number, rv, one.state ~= 'ended', job[1])
  count = count + 1
end

for i = 6, #ARGV, 4 do
  local pod, slot, index = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2])
  local adopter = redis.call('HGET', KEYS[16], pod)
  local found = isOpen and seen(pod, slot, tonumber(ARGV[i + 3]), KEYS[19 + (i - 6) / 4])
  local reply
  if not isOpen then
    reply = CLOSED
  elseif adopter and string.sub(adopter, 1, 1) ~= '-' then
    reply = string.match(adopter, '^%S+') == uid and ADOPTED or MOVED
  elseif not found then
    reply = MOVED
  elseif count >= MOST_ADOPTED then
    reply = TOO_MANY
  elseif hot.indexed == 1 and index < hot.completions and index >= skippedTo then
    reply = TOO_FAR
  else
    rv = rv or nextResourceVersion(KEYS[1], (readClock(KEYS[1], ARGV[1])))
    adopt(pod, slot, index, found)
    fromPod, toPod = math.min(fromPod or pod, pod), math.max(toPod or pod, pod)
    reply = ADOPTED
  end
  replies[#replies + 1] = reply
end
if rv then
  hot.decisionVersion = hot.decisionVersion + 1
  writeHot(KEYS[6], hot)
  redis.call('HSET', KEYS[5], 'adopted', number)
  redis.call('HSET', KEYS[12], 'lent', 1)
  local now = readClock(KEYS[1], ARGV[1])
  trigger({ set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }, 'job:' .. uid, now, now)
  tellPods(KEYS[17], KEYS[18], rv, hostUid, fromPod, toPod)
end
return replies
