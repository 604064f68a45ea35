#!lua flags=allow-oom
--[[
  deleteObject: remove an object of a kind that is kept as it is, or mark it as one to be deleted when
  it has finalizers.

  Caller   sdk, server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:objects:<kind>                    members <namespace>/<name>
  KEYS[3]  hash    <tag>:object:<kind>:<namespace>:<name>
  KEYS[4]  stream  <tag>:watch
  KEYS[5]  zset    <tag>:due
  KEYS[6]  hash    <tag>:due:taken
  KEYS[7]  hash    <tag>:due:counts
  KEYS[8]  hash    <tag>:object:<kind>:<namespace>:<name>:record   goes with the object
  KEYS[9]  zset    <tag>:owned              members <owner uid>/<0 or 1>/<member>
  KEYS[10] hash    <tag>:quota:hard
  KEYS[11] hash    <tag>:quota:used

  ARGV[1]  nowMs      test clock, or ''
  ARGV[2]  channel    of objects
  ARGV[3]  kind       string, as in manifests
  ARGV[4]  uid        string
  ARGV[5]  namespace  string
  ARGV[6]  name       string
  ARGV[7]  wakeChannel  string
  ARGV[8]  member     of the due set, or '' for a kind that does nothing

  Returns   1  DELETED
            2  TERMINATING  it has finalizers, and goes with the last of them
           -1  NOT_FOUND    no such object, or another one of the name

  O(log n). Safe to retry. One hash tag.
]]
-- @include clock
-- @include watch
-- @include due
-- @include owners
-- @include object
-- @include quotaObject
local uid, namespace, name = ARGV[4], ARGV[5], ARGV[6]
local known = redis.call('HMGET', KEYS[3], 'uid', 'finalizers', 'deletedMs', 'owners')
if known[1] ~= uid then return -1 end
if known[3] then return 2 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
local due = { set = KEYS[5], taken = KEYS[6], counts = KEYS[7], wake = ARGV[7] }
triggerObject(due, ARGV[8], now)
if known[2] == '0' then
  local path = { kind = ARGV[3], namespace = namespace, name = name }
  setObjectOwners(due, KEYS[9], KEYS[3], path, known[4] or '', '', now)
  if ARGV[3] == 'ResourceQuota' then removeQuota({ hard = KEYS[10], used = KEYS[11] }, namespace, name) end
  removeObject(KEYS[3], KEYS[2], uid, namespace, name)
  removeRecord(due, ARGV[8], KEYS[8], uid, now)
  tellOfObject(KEYS[4], ARGV[2], rv, ARGV[3], 'DELETED', uid, namespace, name)
  return 1
end
redis.call('HSET', KEYS[3], 'rv', string.format('%.0f', rv), 'deletedMs', string.format('%.0f', now))
tellOfObject(KEYS[4], ARGV[2], rv, ARGV[3], 'MODIFIED', uid, namespace, name)
return 2
