#!lua flags=allow-oom
--[[
  writeStatus: fold what the controller decided into the status of Jobs; write a terminal condition
  only when no pod is left; the CronJob of a Job that ends is looked at.

  Caller   controller; the statuses that are written in one tick go together

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:queues
  KEYS[3]  set     <tag>:waiting
  KEYS[4]  stream  <tag>:watch
  KEYS[5]  zset    <tag>:kept              finished Jobs with pods that are kept
  KEYS[6]  zset    <tag>:kept:failed
  KEYS[7]  string  <tag>:kept:total
  KEYS[8]  zset    <tag>:due
  KEYS[9]  hash    <tag>:due:taken
  KEYS[10]  hash   <tag>:due:counts
  KEYS[11] hash    <tag>:quota:used
  KEYS[12] zset    <tag>:quota:waiting
  then for each Job:
  KEYS[+1] hash    <tag>:job:<uid>
  KEYS[+2] string  <tag>:job:<uid>:hot

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  then for each Job:
  ARGV[+1] uid              string
  ARGV[+2] generation       that the decision was made from
  ARGV[+3] decisionVersion  that the decision was made from
  ARGV[+4] status           JSON
  ARGV[+5] finish           Complete, CompleteEarly (by a successPolicy), Failed or ''
  ARGV[+6] critical         0 or 1; 1 when conditions change: bumps decisionVersion, as finish does

  Returns a list, for each Job in order its decisionVersion after this write, an integer > 0, or
           -1  MOVED        generation or decisionVersion changed
           -2  GONE         no such Job, or deleted
           -3  NOT_SETTLED  a pod is active, terminating or unjudged, or successes are missing

  A second run with finish answers MOVED. O(Jobs), at most 32. One hash tag.
]]
-- @include clock
-- @include hot
-- @include watch
-- @include kept
-- @include due
-- @include owners
-- @include grants
local kept = { jobs = KEYS[5], failed = KEYS[6], total = KEYS[7] }
local due = { set = KEYS[8], taken = KEYS[9], counts = KEYS[10], wake = ARGV[2] }
local now, rv = readClock(KEYS[1], ARGV[1])

local function write(argument, keyBase)
  local jobKey, hotKey = KEYS[keyBase + 1], KEYS[keyBase + 2]
  local uid, status, finish = ARGV[argument], ARGV[argument + 3], ARGV[argument + 4]
  local job = redis.call('HMGET', jobKey, 'namespace', 'name', 'deleted', 'queue', 'bare', 'rv', 'owners',
    'grant')
  local hot = readHot(hotKey)
  if not job[1] or not hot or job[3] == '1' then return -2 end
  if hot.generation ~= tonumber(ARGV[argument + 1]) or hot.decisionVersion ~= tonumber(ARGV[argument + 2]) then
    return -1
  end
  if finish ~= '' then
    if hot.active > 0 or hot.terminating > 0 or hot.unjudged > 0 then return -3 end
    local needed = hot.completions < 0 and 1 or hot.completions
    if finish == 'Complete' and hot.succeeded < needed then return -3 end
  end

  rv = math.max(rv + 1, now * 4096)
  redis.call('SET', KEYS[1], rv)
  -- What is written here is not what is seen of a pod without a Job.
  local isBare = job[5] == '1'
  local version = isBare and job[6] or string.format('%.0f', rv)
  if finish ~= '' then
    redis.call('HSET', jobKey, 'status', status, 'rv', version, 'finished', 1)
    redis.call('SREM', KEYS[3], uid)
    if hot.onQueue == 1 then redis.call('HINCRBY', KEYS[2], job[4], -1) end
    hot.limit, hot.onQueue = 0, 0
    addKept(kept, uid, hot.kept, now)
    -- A pod that ends without ever having had a slot.
    if job[8] then
      redis.call('HDEL', jobKey, 'grant')
      giveBack({ used = KEYS[11], waiting = KEYS[12] }, due, { [job[8]] = 1 }, now)
    end
    if job[7] then lookAtCronJob(due, job[7], job[1], now) end
  else
    redis.call('HSET', jobKey, 'status', status, 'rv', version)
  end
  if finish ~= '' or ARGV[argument + 5] == '1' then
    hot.decisionVersion = hot.decisionVersion + 1
    writeHot(hotKey, hot)
  end
  if not isBare then tellJob(KEYS[4], rv, finish == '' and 'MODIFIED' or 'FINISHED', uid, job[1], job[2]) end
  return hot.decisionVersion
end

local replies = {}
local keyBase = 12
for argument = 3, #ARGV, 6 do
  replies[#replies + 1] = write(argument, keyBase)
  keyBase = keyBase + 2
end
return replies
