#!lua
--[[
  createWorkQueue: store a new work queue and wake the Jobs that wait for it.

  Caller   sdk, cli

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  zset    <tag>:wq:names           members <namespace>/<name>
  KEYS[6]  hash    <tag>:wq:uids            <namespace>/<name> to uid
  KEYS[7]  hash    <tag>:wq:<uid>
  KEYS[8]  set     <tag>:wq:awaited:<namespace>:<name>   uids of Jobs

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string, chosen by the caller: the idempotency key
  ARGV[4]  namespace    string
  ARGV[5]  name         string
  ARGV[6]  object       JSON of metadata and spec
  ARGV[7]  resultTtlMs  how long outcomes are kept
  ARGV[8]  maxResultBytes  how many bytes of them, about

  Returns  {1, resourceVersion, createdMs}  CREATED
           { 0}  REPLAYED        the same uid was created before; it may be deleted by now
           {-1}  ALREADY_EXISTS  another work queue has the name

  O(log n + waiting Jobs). Safe to retry. One hash tag. Refused when memory is full.
]]
-- @include clock
-- @include due
-- @include triggerAll
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid, namespace, name = ARGV[3], ARGV[4], ARGV[5]
local path = namespace .. '/' .. name
if redis.call('EXISTS', KEYS[7]) == 1 then return { 0 } end
if redis.call('HEXISTS', KEYS[6], path) == 1 then return { -1 } end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
local version, created = string.format('%.0f', rv), string.format('%.0f', now)
redis.call('HSET', KEYS[7], 'namespace', namespace, 'name', name, 'object', ARGV[6], 'rv', version,
  'createdMs', created, 'resultTtlMs', ARGV[7], 'maxResultBytes', ARGV[8], 'sealedMs', 0, 'enqueued', 0, 'settled', 0, 'open', 0)
redis.call('ZADD', KEYS[5], 0, path)
redis.call('HSET', KEYS[6], path, uid)
-- Some at a time: a command can not take any number of them.
local jobs = redis.call('SPOP', KEYS[8], 500)
while #jobs > 0 do
  for i, job in ipairs(jobs) do jobs[i] = 'job:' .. job end
  triggerAll(due, jobs, now)
  jobs = redis.call('SPOP', KEYS[8], 500)
end
return { 1, version, created }
