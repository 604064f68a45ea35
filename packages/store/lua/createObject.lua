#!lua
--[[
  createObject: store a new object of a kind that is kept as it is: a ConfigMap, a Secret; of one that does something, as a
  CronJob, it becomes due.

  Caller   sdk, server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:objects:<kind>                    members <namespace>/<name>
  KEYS[3]  hash    <tag>:object:<kind>:<namespace>:<name>
  KEYS[4]  stream  <tag>:watch
  KEYS[5]  zset    <tag>:due
  KEYS[6]  hash    <tag>:due:taken
  KEYS[7]  hash    <tag>:due:counts
  KEYS[8]  zset    <tag>:owned              members <owner uid>/<0 or 1>/<member>
  KEYS[9]  hash    <tag>:quota:hard
  KEYS[10] hash    <tag>:quota:used

  ARGV[1]  nowMs       test clock, or ''
  ARGV[2]  channel     of objects
  ARGV[3]  kind        string, as in manifests
  ARGV[4]  uid         string, chosen by the caller: the idempotency key
  ARGV[5]  namespace   string
  ARGV[6]  name        string
  ARGV[7]  object      JSON
  ARGV[8]  finalizers  how many it has
  ARGV[9]  wakeChannel  string
  ARGV[10]  member      of the due set, or '' for a kind that does nothing
  ARGV[11]  owners      see owners.lua
  ARGV[12]  hard        of a ResourceQuota JSON of its amounts by resource; '' = it is none
  ARGV[13]  counted     names under which quotas count it, apart by spaces; '' = none

  Returns  {1, resourceVersion, createdMs}  CREATED
           { 0}  REPLAYED        the same uid was created before; it may be deleted by now
           {-1}  ALREADY_EXISTS  another object of the kind has the name
           {-2, denial}  FORBIDDEN  the quota of the namespace does not allow it; JSON of why

  O(log n). Safe to retry. One hash tag. Refused when memory is full.
]]
-- @include clock
-- @include watch
-- @include due
-- @include owners
-- @include object
-- @include quota
-- @include quotaObject
local known = redis.call('HMGET', KEYS[3], 'uid', 'goneUid')
if known[1] == ARGV[4] or known[2] == ARGV[4] then return { 0 } end
if known[1] then return { -1 } end
local quotaKeys = { hard = KEYS[9], used = KEYS[10] }
local found = ARGV[13] ~= '' and quotasOf(quotaKeys, ARGV[5])
if found then
  for resource in string.gmatch(ARGV[13], '%S+') do
    local denied = countDenialOf(found, resource, countNames(KEYS[2], ARGV[5]))
    if denied then return { -2, cjson.encode(denied) } end
  end
end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
local version, created = string.format('%.0f', rv), string.format('%.0f', now)
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 'uid', ARGV[4], 'rv', version, 'createdMs', created, 'object', ARGV[7],
  'finalizers', ARGV[8])
redis.call('ZADD', KEYS[2], 0, ARGV[5] .. '/' .. ARGV[6])
if ARGV[12] ~= '' then setQuota(quotaKeys, ARGV[5], ARGV[6], ARGV[12], version) end
tellOfObject(KEYS[4], ARGV[2], rv, ARGV[3], 'ADDED', ARGV[4], ARGV[5], ARGV[6])
local due = { set = KEYS[5], taken = KEYS[6], counts = KEYS[7], wake = ARGV[9] }
triggerObject(due, ARGV[10], now)
setObjectOwners(due, KEYS[8], KEYS[3], { kind = ARGV[3], namespace = ARGV[5], name = ARGV[6] }, '', ARGV[11], now)
return { 1, version, created }
