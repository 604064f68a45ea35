#!lua
--[[
  createJob: store a new Job and make it due, in one step.

  Caller   sdk, server, CronJob controller
  Source   docs/redis-schema.md

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  zset    <tag>:jobs:names         members <namespace>/<name>
  KEYS[6]  hash    <tag>:jobs:uids          <namespace>/<name> to uid
  KEYS[7]  hash    <tag>:job:<uid>
  KEYS[8]  string  <tag>:job:<uid>:hot   packed numbers
  KEYS[9]  stream  <tag>:watch

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string, chosen by the caller: the idempotency key
  ARGV[4]  namespace    string
  ARGV[5]  name         string
  ARGV[6]  object       JSON of metadata and spec
  ARGV[7]  status       JSON
  ARGV[8]  completions  integer, -1 = unset
  ARGV[9]  queue        string
  ARGV[10] fittingKey   string, key in <tag>:lanes
  ARGV[11] indexed      0 or 1

  Returns   1  CREATED
            0  REPLAYED        the same uid was created before
           -1  ALREADY_EXISTS  another Job has the name

  O(log n). Safe to retry. One hash tag. Refused when memory is full.
]]
-- @include clock
-- @include due
-- @include hot
-- @include watch
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid, namespace, name = ARGV[3], ARGV[4], ARGV[5]
local path = namespace .. '/' .. name

if redis.call('EXISTS', KEYS[7]) == 1 then return 0 end
if redis.call('HEXISTS', KEYS[6], path) == 1 then return -1 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
redis.call('ZADD', KEYS[5], 0, path)
redis.call('HSET', KEYS[6], path, uid)
redis.call('HSET', KEYS[7], 'namespace', namespace, 'name', name, 'object', ARGV[6], 'status', ARGV[7],
  'rv', string.format('%.0f', rv), 'generation', 1, 'finished', 0, 'deleted', 0, 'createdMs', now,
  'queue', ARGV[9], 'fittingKey', ARGV[10])
-- All numbers begin at 0.
redis.call('SET', KEYS[8], string.rep('\0', struct.size(HOT)))
local hot = readHot(KEYS[8])
hot.generation, hot.decisionVersion, hot.hold, hot.nextSlot = 1, 1, 1, 1
hot.completions, hot.indexed = tonumber(ARGV[8]), tonumber(ARGV[11])
writeHot(KEYS[8], hot)
tellJob(KEYS[9], rv, 'ADDED', uid, namespace, name)
trigger(due, 'job:' .. uid, now, now)
return 1
