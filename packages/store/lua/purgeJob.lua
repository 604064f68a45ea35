#!lua flags=allow-oom
--[[
  purgeJob: remove the last keys of a deleted Job whose pods all ended and whose pod records the
  caller removed.

  Caller   controller

  KEYS[1]   hash    <tag>:job:<uid>
  KEYS[2]   string  <tag>:job:<uid>:hot
  KEYS[3]   hash    <tag>:job:<uid>:slots
  KEYS[4]   zset    <tag>:job:<uid>:pending
  KEYS[5]   string  <tag>:job:<uid>:done      bitmap
  KEYS[6]   zset    <tag>:job:<uid>:retry
  KEYS[7]   hash    <tag>:job:<uid>:unjudged
  KEYS[8]   hash    <tag>:job:<uid>:losses
  KEYS[9]   hash    <tag>:job:<uid>:overlay
  KEYS[10]  hash    <tag>:queues              unfinished Jobs with slots, per queue
  KEYS[11]  set     <tag>:waiting
  KEYS[12]  hash    <tag>:job:<uid>:args
  KEYS[13]  set     <tag>:job:<uid>:ended
  KEYS[14]  zset    <tag>:jobs:orphaned
  KEYS[15]  string  <tag>:job:<uid>:failed    bitmap
  KEYS[16]  zset    <tag>:kept
  KEYS[17]  zset    <tag>:kept:failed
  KEYS[18]  string  <tag>:kept:total
  KEYS[19]  hash    <tag>:quota:used
  KEYS[20]  zset    <tag>:quota:waiting
  KEYS[21]  string  <tag>:clock
  KEYS[22]  zset    <tag>:due
  KEYS[23]  hash    <tag>:due:taken
  KEYS[24]  hash    <tag>:due:counts
  KEYS[25]  hash    <tag>:job:<uid>:changed
  KEYS[26]  hash    <tag>:job:<uid>:free
  KEYS[27]  zset    <tag>:jobs:changed
  KEYS[28]  hash    <tag>:job:<uid>:adopted
  KEYS[29]  hash    <tag>:job:<uid>:adopters
  KEYS[30]  zset    <tag>:jobs:selecting
  KEYS[31+] string  <tag>:job:<uid>:pods:<chunk>   one for each pod in ARGV

  ARGV[1]  uid          string
  ARGV[2]  nowMs        test clock, or ''
  ARGV[3]  wakeChannel  string
  ARGV[4+] podNumber and slot of each pod that the Job has released, at most 200

  Returns   1  PURGED     or there was nothing left
            2  LEFT       pods are left that the Job had released: from now on it is as if Orphan had left them
            3  MORE       the last pod that it had released has gone meanwhile: remove the records once more, with those
                          that were kept beside its own
           -1  NOT_EMPTY  pods are active or terminating, or kept of a Job that left them; or it is not deleted

  A mark in place of the Job stays for ten minutes, so that a createJob that comes late is a replay and does
  not bring the Job back. O(released pods); big keys are freed in the background. Safe to retry. One hash tag.
]]
-- @include hot
-- @include kept
-- @include record
-- @include clock
-- @include due
-- @include grants
local job = redis.call('HMGET', KEYS[1], 'deleted', 'queue', 'namespace', 'name', 'finished', 'grant', 'orphaned', 'free')
local hot = readHot(KEYS[2])
if job[1] == '0' then return -1 end
if hot and (hot.active > 0 or hot.terminating > 0 or hot.kept > 0 and job[7] == '1') then return -1 end
if hot and job[5] == '1' then
  subtractKept({ jobs = KEYS[16], failed = KEYS[17], total = KEYS[18] }, ARGV[1], hot.kept, 0)
end
-- Released pods count again, for a Job that is no more, so that they are looked after as those are that Orphan left.
local taken = {}
if hot then hot.kept = 0 end
local slots = {}
for i = 5, #ARGV, 2 do slots[#slots + 1] = ARGV[i] end
local held = hot and #slots > 0 and redis.call('HMGET', KEYS[3], unpack(slots)) or {}
for i = 1, #held do
  local pod = tonumber(ARGV[2 * i + 2])
  local isFree = redis.call('HEXISTS', KEYS[26], pod) == 1
  local present, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, rv, asked
  if isFree and held[i] then
    present, index, previous, phase, restarts, attempts, node, holder, createdMs, startMs, rv, asked =
      struct.unpack(SLOT, held[i])
  end
  if present == pod then
    local becomes = phase == FREE and RUNNING or STOPPING
    taken[#taken + 1] = slots[i]
    taken[#taken + 1] = struct.pack(SLOT_HEAD, pod, index, previous, becomes, restarts, attempts, node, holder,
      createdMs, startMs, rv, asked) .. string.sub(held[i], FAILURES_AT)
    if becomes == RUNNING then
      hot.active, hot.running, hot.restarts = hot.active + 1, hot.running + 1, hot.restarts + restarts
    else
      hot.terminating = hot.terminating + 1
    end
  elseif isFree then
    local flagsAt = pod % PODS_PER_CHUNK * POD_BYTES + 18
    local flags = redis.call('GETRANGE', KEYS[30 + i], flagsAt, flagsAt)
    if flags ~= '' and flags ~= '\0' then hot.kept = hot.kept + 1 end
  end
end
if hot and hot.active + hot.terminating + hot.kept > 0 then
  if #taken > 0 then redis.call('HSET', KEYS[3], unpack(taken)) end
  if hot.onQueue == 1 then redis.call('HINCRBY', KEYS[10], job[2], -1) end
  hot.onQueue = 0
  writeHot(KEYS[2], hot)
  redis.call('HSET', KEYS[1], 'orphaned', 1, 'finished', 0)
  redis.call('HDEL', KEYS[1], 'free', 'emptied')
  return 2
end
if hot and job[8] == '1' then
  redis.call('HDEL', KEYS[1], 'free', 'emptied')
  return 3
end

-- A pod that was deleted before it had a slot.
if job[6] then
  local due = { set = KEYS[22], taken = KEYS[23], counts = KEYS[24], wake = ARGV[3] }
  giveBack({ used = KEYS[19], waiting = KEYS[20] }, due, { [job[6]] = 1 }, readClock(KEYS[21], ARGV[2]))
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9],
  KEYS[12], KEYS[13], KEYS[15], KEYS[25], KEYS[26], KEYS[28], KEYS[29])
if job[1] then
  redis.call('HSET', KEYS[1], 'deleted', 1)
  redis.call('PEXPIRE', KEYS[1], 600000)
end
if hot and hot.onQueue == 1 then redis.call('HINCRBY', KEYS[10], job[2], -1) end
redis.call('SREM', KEYS[11], ARGV[1])
if job[4] then
  local path = job[3] .. '/' .. job[4] .. '/' .. ARGV[1]
  redis.call('ZREM', KEYS[14], path)
  redis.call('ZREM', KEYS[27], path)
  redis.call('ZREM', KEYS[30], path)
end
return 1
