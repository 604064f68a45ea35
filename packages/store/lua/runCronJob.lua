#!lua
--[[
  runCronJob: what was decided of a CronJob, in one step: its Jobs are stored and made due, its status is written, and
  what became of its times is noted. So a time has one Job at most, whoever decides, and whenever somebody dies.

  Caller   controller; sdk (runs by hand)
  Source   docs/design/0010-cron-jobs.md

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   zset    <tag>:jobs:names
  KEYS[6]   hash    <tag>:jobs:uids
  KEYS[7]   stream  <tag>:watch
  KEYS[8]   zset    <tag>:owned
  KEYS[9]   hash    <tag>:object:<kind>:<namespace>:<name>
  KEYS[10]  hash    <tag>:object:<kind>:<namespace>:<name>:record
  KEYS[11]  hash    <tag>:quota:hard
  KEYS[12]  hash    <tag>:quota:used
  then for each Job:
  KEYS[+1]  hash    <tag>:job:<uid>
  KEYS[+2]  string  <tag>:job:<uid>:hot      packed numbers

  ARGV[1]   nowMs          test clock, or ''
  ARGV[2]   wakeChannel    string
  ARGV[3]   objectChannel  string
  ARGV[4]   uid            of the CronJob
  ARGV[5]   namespace      string
  ARGV[6]   name           string
  ARGV[7]   runs           how often this was done to it, as far as the decision knew; each time is one more
  ARGV[8]   expectedVersion  resourceVersion that the decision was made from
  ARGV[9]   object         JSON with its new status, or '' when that is as it was
  ARGV[10]  checkedMs      times up to this one are noted, or '' = as it was
  ARGV[11]  suspendedMs    since when it is suspended; 0 = it is not, '' = as it was
  ARGV[12]  entries        how many notes follow
  then for each note, those of the Jobs first:
  ARGV[+1]  field          <time in ms>, or <time in ms>/<uid> of a Job that was made by hand
  ARGV[+2]  text           what became of it
  then for each Job what createJob takes of it

  Returns  { 1, resourceVersion}  DONE        all of it was done
           {-1}                   NOT_FOUND   no such CronJob, or another one of the name
           {-2}                   CONFLICT    it was changed, or this was done to it, since the decision
           {-3, position}         NAME_TAKEN  another Job has the name of that one, counted from 1; nothing was done
           {-4, position}         RAN         that one was made before, or its time had another; nothing was done
           {-5, position, denial} FORBIDDEN   the quota of the namespace does not allow that one, JSON of why; nothing was done

  O(Jobs log n + notes), at most 32 Jobs; of the notes about a hundred are kept, the latest. A second run answers
  CONFLICT. One hash tag. Refused when memory is full.
]]
-- @include clock
-- @include due
-- @include triggerAll
-- @include hot
-- @include watch
-- @include owners
-- @include newJob
-- @include object
-- @include quota
local MOST_NOTES, KEPT_NOTES = 128, 100
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local cronJob = redis.call('HMGET', KEYS[9], 'uid', 'rv', 'runs')
if cronJob[1] ~= ARGV[4] then return { -1 } end
if cronJob[2] ~= ARGV[8] or (cronJob[3] or '0') ~= ARGV[7] then return { -2 } end
local noteCount = tonumber(ARGV[12])
local firstJob = 13 + 2 * noteCount
local found = quotasOf({ hard = KEYS[11], used = KEYS[12] }, ARGV[5])
local jobCount = found and countNames(KEYS[5], ARGV[5])
for i = firstJob, #ARGV, 13 do
  local position = (i - firstJob) / 13 + 1
  -- `s`: a Job was started for the time; `b`: by hand, afterwards.
  local known = redis.call('HGET', KEYS[10], ARGV[11 + 2 * position])
  if redis.call('EXISTS', KEYS[11 + 2 * position]) == 1 or known and string.find(known, '^[sb]') then
    return { -4, position }
  end
  if redis.call('HEXISTS', KEYS[6], ARGV[i + 1] .. '/' .. ARGV[i + 2]) == 1 then return { -3, position } end
  local denied = found and countDenialOf(found, 'count/jobs.batch', jobCount + position - 1)
  if denied then return { -5, position, cjson.encode(denied) } end
end

local now, rv = readClock(KEYS[1], ARGV[1])
local text = string.format('%.0f', now)
local members, keyBase = {}, 12
for i = firstJob, #ARGV, 13 do
  local uid, namespace, name = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local path = namespace .. '/' .. name
  rv = math.max(rv + 1, now * 4096)
  storeJob(KEYS[keyBase + 1], KEYS[keyBase + 2], i, string.format('%.0f', rv), text)
  keyBase = keyBase + 2
  addOwned(KEYS[8], 'job:' .. uid, ARGV[i + 10])
  redis.call('ZADD', KEYS[5], 0, path)
  redis.call('HSET', KEYS[6], path, uid)
  tellJob(KEYS[7], rv, 'ADDED', uid, namespace, name, false)
  members[#members + 1] = 'job:' .. uid
end
if #members > 0 then triggerAll(due, members, now) end

redis.call('HINCRBY', KEYS[9], 'runs', 1)
if ARGV[10] ~= '' then redis.call('HSET', KEYS[9], 'checkedMs', ARGV[10]) end
if ARGV[11] ~= '' then redis.call('HSET', KEYS[9], 'suspendedMs', ARGV[11]) end
if ARGV[9] ~= '' then
  rv = math.max(rv + 1, now * 4096)
  redis.call('HSET', KEYS[9], 'rv', string.format('%.0f', rv), 'object', ARGV[9])
  tellOfObject(KEYS[7], ARGV[3], rv, 'CronJob', 'MODIFIED', ARGV[4], ARGV[5], ARGV[6])
end
redis.call('SET', KEYS[1], string.format('%.0f', rv))

if noteCount > 0 then
  -- Beyond so many Redis keeps them in a form that takes several times the memory.
  if redis.call('HLEN', KEYS[10]) + noteCount > MOST_NOTES then
    local fields = redis.call('HKEYS', KEYS[10])
    table.sort(fields)
    local surplus = math.min(#fields, #fields + noteCount - KEPT_NOTES)
    if surplus > 0 then redis.call('HDEL', KEYS[10], unpack(fields, 1, surplus)) end
  end
  for i = 13, firstJob - 1, 2 do
    -- What was run by hand is not missed.
    local ran = string.sub(ARGV[i + 1], 1, 1) == 'x' and redis.call('HGET', KEYS[10], ARGV[i])
    if not ran or not string.find(ran, '^[sb]') then redis.call('HSET', KEYS[10], ARGV[i], ARGV[i + 1]) end
  end
end
return { 1, string.format('%.0f', rv) }
