#!lua
--[[
  updateObject: replace an object of a kind that is kept as it is, compare-and-set on its
  resourceVersion. One that is to be deleted goes when its last finalizer is taken away.

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

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  channel          of objects
  ARGV[3]  kind             string, as in manifests
  ARGV[4]  uid              string
  ARGV[5]  namespace        string
  ARGV[6]  name             string
  ARGV[7]  expectedVersion  resourceVersion that the change was made from
  ARGV[8]  object           JSON
  ARGV[9]  finalizers       how many it has
  ARGV[10]  wakeChannel     string
  ARGV[11]  member          of the due set, or '' for a kind that does nothing
  ARGV[12]  delete          0 or 1; 1 = it is to be deleted from now on
  ARGV[13]  owners          see owners.lua; '=' = leave them as they are
  ARGV[14]  hard            of a ResourceQuota JSON of its amounts by resource; '' = it is none

  Returns  {1, resourceVersion}  UPDATED
           {2, resourceVersion}  REMOVED    it was to be deleted, and has no finalizer any more
           {-1}  NOT_FOUND  no such object, or another one of the name
           {-2}  CONFLICT   another write came first

  A second run with the same expectedVersion answers CONFLICT; nothing is written twice. O(log n). One hash tag.
]]
-- @include clock
-- @include watch
-- @include due
-- @include owners
-- @include object
-- @include quotaObject
local uid, namespace, name = ARGV[4], ARGV[5], ARGV[6]
local known = redis.call('HMGET', KEYS[3], 'uid', 'rv', 'deletedMs', 'owners')
if known[1] ~= uid then return { -1 } end
if known[2] ~= ARGV[7] then return { -2 } end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
local version = string.format('%.0f', rv)
local due = { set = KEYS[5], taken = KEYS[6], counts = KEYS[7], wake = ARGV[10] }
triggerObject(due, ARGV[11], now)
local path = { kind = ARGV[3], namespace = namespace, name = name }
local quotaKeys = { hard = KEYS[10], used = KEYS[11] }
local isDeleted = known[3] or ARGV[12] == '1'
if isDeleted and ARGV[9] == '0' then
  setObjectOwners(due, KEYS[9], KEYS[3], path, known[4] or '', '', now)
  if ARGV[14] ~= '' then removeQuota(quotaKeys, namespace, name) end
  removeObject(KEYS[3], KEYS[2], uid, namespace, name)
  removeRecord(due, ARGV[11], KEYS[8], uid, now)
  tellOfObject(KEYS[4], ARGV[2], rv, ARGV[3], 'DELETED', uid, namespace, name)
  return { 2, version }
end
redis.call('HSET', KEYS[3], 'rv', version, 'object', ARGV[8], 'finalizers', ARGV[9])
if ARGV[14] ~= '' then setQuota(quotaKeys, namespace, name, ARGV[14], version) end
if ARGV[13] ~= '=' then setObjectOwners(due, KEYS[9], KEYS[3], path, known[4] or '', ARGV[13], now) end
if isDeleted and not known[3] then redis.call('HSET', KEYS[3], 'deletedMs', string.format('%.0f', now)) end
tellOfObject(KEYS[4], ARGV[2], rv, ARGV[3], 'MODIFIED', uid, namespace, name)
return { 1, version }
