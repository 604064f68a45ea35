#!lua
--[[
  updateJob: replace the object of a Job, compare-and-set on its resourceVersion, and make it due.

  Caller   sdk, server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  hash    <tag>:job:<uid>
  KEYS[6]  string  <tag>:job:<uid>:hot
  KEYS[7]  stream  <tag>:watch
  KEYS[8]  hash    <tag>:queues

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  wakeChannel      string
  ARGV[3]  uid              string
  ARGV[4]  expectedVersion  resourceVersion that the change was made from, or '' for any
  ARGV[5]  object           JSON of metadata and spec
  ARGV[6]  specChanged      0 or 1; 1 bumps generation and decisionVersion
  ARGV[7]  completions      integer, -1 = unset
  ARGV[8]  queue            string
  ARGV[9]  fittingKey       string

  Returns   1  UPDATED
           -1  NOT_FOUND  no such Job, or deleted
           -2  CONFLICT   another write came first

  A second run with the same expectedVersion answers CONFLICT; nothing is written twice. O(1). One hash tag.
]]
-- @include clock
-- @include due
-- @include hot
-- @include watch
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local job = redis.call('HMGET', KEYS[5], 'rv', 'namespace', 'name', 'deleted', 'queue')
if not job[1] or job[4] == '1' then return -1 end
if ARGV[4] ~= '' and ARGV[4] ~= job[1] then return -2 end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
redis.call('HSET', KEYS[5], 'object', ARGV[5], 'rv', string.format('%.0f', rv), 'queue', ARGV[8],
  'fittingKey', ARGV[9])
if ARGV[6] == '1' then
  local hot = readHot(KEYS[6])
  hot.generation = redis.call('HINCRBY', KEYS[5], 'generation', 1)
  hot.decisionVersion = hot.decisionVersion + 1
  hot.completions = tonumber(ARGV[7])
  -- A suspended Job may choose another pool: its next slots are opened and counted there.
  if hot.onQueue == 1 and job[5] ~= ARGV[8] then
    hot.onQueue = 0
    redis.call('HINCRBY', KEYS[8], job[5], -1)
  end
  writeHot(KEYS[6], hot)
end
tellJob(KEYS[7], rv, 'MODIFIED', ARGV[3], job[2], job[3])
trigger(due, 'job:' .. ARGV[3], now, now)
return 1
