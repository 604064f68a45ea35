#!lua
--[[
  createJob: store new Jobs and make them due, in one step; also pods without a Job, each as a Job of its own that
  nobody sees.

  Caller   sdk, server; the Jobs that are created in one tick go together
  Source   docs/redis-schema.md

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  zset    <tag>:jobs:names         members <namespace>/<name>, of a pod ~<namespace>/<name>
  KEYS[6]  hash    <tag>:jobs:uids          the same to uid
  KEYS[7]  stream  <tag>:watch
  KEYS[8]  zset    <tag>:owned              members <owner uid>/<0 or 1>/<member>
  KEYS[9]  hash    <tag>:quota:hard
  KEYS[10] hash    <tag>:quota:used
  then for each Job:
  KEYS[+1] hash    <tag>:job:<uid>
  KEYS[+2] string  <tag>:job:<uid>:hot      packed numbers

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  then for each Job:
  ARGV[+1] uid          string, chosen by the caller: the idempotency key
  ARGV[+2] namespace    string
  ARGV[+3] name         string
  ARGV[+4] object       JSON of metadata and spec
  ARGV[+5] status       JSON
  ARGV[+6] completions  integer, -1 = unset
  ARGV[+7] queue        string
  ARGV[+8] fittingKey   string, key in <tag>:lanes
  ARGV[+9] indexed      0 or 1
  ARGV[+10] finalizers   apart by spaces
  ARGV[+11] owners       <uid>/<1 if it blocks the owner's foreground deletion, else 0>[/<name of a CronJob>], apart by spaces
  ARGV[+12] bare         0 or 1; 1 = a pod without a Job
  ARGV[+13] share        what a pod takes of quota, see quota.lua

  Returns a list, for each Job in order
           {1, resourceVersion, createdMs}  CREATED
           { 0}  REPLAYED        the same uid was created before
           {-1}  ALREADY_EXISTS  another one has the name
           {-2, denial}  FORBIDDEN  the quota of the namespace does not allow it; JSON of why

  O(Jobs log n), at most 32 Jobs. Each Job is stored or not for itself. Safe to retry. One hash tag. Refused when
  memory is full.
]]
-- @include clock
-- @include due
-- @include triggerAll
-- @include hot
-- @include watch
-- @include owners
-- @include newJob
-- @include quota
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local now, rv = readClock(KEYS[1], ARGV[1])
local quotaKeys = { hard = KEYS[9], used = KEYS[10] }
-- New Jobs of each namespace that are not among the names yet.
local fresh = {}
local replies, created = {}, {}
-- The paths of the new Jobs, for the two indexes of names.
local names, uids = {}, {}
local text = string.format('%.0f', now)

-- Why quota forbids one more Job, or a pod without one, which takes its share from now on; nil when it does not.
local function denialFor(namespace, isBare, shareText)
  local found = quotasOf(quotaKeys, namespace)
  if not found then return nil end
  if not isBare then
    return countDenialOf(found, 'count/jobs.batch', countNames(KEYS[5], namespace) + (fresh[namespace] or 0))
  end
  local share = shareOf(shareText)
  local denied = denialOf(found, share)
  if not denied then takeShare(found, share, 1) end
  return denied
end

local function store(i, jobKey, hotKey)
  local uid, namespace, name = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local isBare = ARGV[i + 11] == '1'
  local path = (isBare and '~' or '') .. namespace .. '/' .. name
  if redis.call('EXISTS', jobKey) == 1 then return { 0 } end
  if uids[path] or redis.call('HEXISTS', KEYS[6], path) == 1 then return { -1 } end
  local denied = denialFor(namespace, isBare, ARGV[i + 12])
  if denied then return { -2, cjson.encode(denied) } end

  rv = math.max(rv + 1, now * 4096)
  local version = string.format('%.0f', rv)
  storeJob(jobKey, hotKey, i, version, text)
  if not isBare then
    fresh[namespace] = (fresh[namespace] or 0) + 1
  elseif quotasOf(quotaKeys, namespace) then
    local share = shareOf(ARGV[i + 12])
    grant(KEYS[10], namespace, share, 1)
    redis.call('HSET', jobKey, 'grant', grantText(namespace, share))
  end
  if ARGV[i + 10] ~= '' then setOwners(due, KEYS[8], 'job:' .. uid, namespace, '', ARGV[i + 10], now) end
  tellJob(KEYS[7], rv, 'ADDED', uid, namespace, name, isBare)
  uids[path] = uid
  names[#names + 1] = 0
  names[#names + 1] = path
  created[#created + 1] = 'job:' .. uid
  return { 1, version, text }
end

local keyBase = 10
for i = 3, #ARGV, 13 do
  replies[#replies + 1] = store(i, KEYS[keyBase + 1], KEYS[keyBase + 2])
  keyBase = keyBase + 2
end
if #created == 0 then return replies end

redis.call('ZADD', KEYS[5], unpack(names))
local fields = {}
for path, uid in pairs(uids) do
  fields[#fields + 1] = path
  fields[#fields + 1] = uid
end
redis.call('HSET', KEYS[6], unpack(fields))
redis.call('SET', KEYS[1], rv)
triggerAll(due, created, now)
return replies
