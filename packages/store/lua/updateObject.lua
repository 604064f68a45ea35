#!lua
--[[
  updateObject: replace an object of a kind that is kept as it is, compare-and-set on its
  resourceVersion. One that is to be deleted goes when its last finalizer is taken away.

  Caller   sdk, server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:objects:<kind>                    members <namespace>/<name>
  KEYS[3]  hash    <tag>:object:<kind>:<namespace>:<name>
  KEYS[4]  stream  <tag>:watch

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  channel          of objects
  ARGV[3]  kind             string, as in manifests
  ARGV[4]  uid              string
  ARGV[5]  namespace        string
  ARGV[6]  name             string
  ARGV[7]  expectedVersion  resourceVersion that the change was made from
  ARGV[8]  object           JSON
  ARGV[9]  finalizers       how many it has

  Returns  {1, resourceVersion}  UPDATED
           {2, resourceVersion}  REMOVED    it was to be deleted, and has no finalizer any more
           {-1}  NOT_FOUND  no such object, or another one of the name
           {-2}  CONFLICT   another write came first

  A second run with the same expectedVersion answers CONFLICT; nothing is written twice. O(log n). One hash tag.
]]
-- @include clock
-- @include watch
-- @include object
local uid, namespace, name = ARGV[4], ARGV[5], ARGV[6]
local known = redis.call('HMGET', KEYS[3], 'uid', 'rv', 'deletedMs')
if known[1] ~= uid then return { -1 } end
if known[2] ~= ARGV[7] then return { -2 } end

local rv = nextResourceVersion(KEYS[1], readClock(KEYS[1], ARGV[1]))
local version = string.format('%.0f', rv)
if known[3] and ARGV[9] == '0' then
  removeObject(KEYS[3], KEYS[2], uid, namespace, name)
  tellOfObject(KEYS[4], ARGV[2], rv, ARGV[3], 'DELETED', uid, namespace, name)
  return { 2, version }
end
redis.call('HSET', KEYS[3], 'rv', version, 'object', ARGV[8], 'finalizers', ARGV[9])
tellOfObject(KEYS[4], ARGV[2], rv, ARGV[3], 'MODIFIED', uid, namespace, name)
return { 1, version }
