#!lua flags=allow-oom
--[[
  writeStatus: fold what the controller decided into the Job's status; write a terminal condition
  only when no pod is left.

  Caller   controller

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:job:<uid>
  KEYS[3]  string  <tag>:job:<uid>:hot
  KEYS[4]  hash    <tag>:queues
  KEYS[5]  set     <tag>:waiting
  KEYS[6]  stream  <tag>:watch

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  uid              string
  ARGV[3]  generation       that the decision was made from
  ARGV[4]  decisionVersion  that the decision was made from
  ARGV[5]  status           JSON
  ARGV[6]  finish           Complete, Failed or ''
  ARGV[7]  critical         0 or 1; 1 when conditions change: bumps decisionVersion, as finish does

  Returns   decisionVersion after this write, an integer > 0
           -1  MOVED        generation or decisionVersion changed
           -2  GONE         no such Job, or deleted
           -3  NOT_SETTLED  a pod is active, terminating or unjudged, or successes are missing

  A second run with finish answers GONE or MOVED. O(1). One hash tag.
]]
-- @include clock
-- @include hot
-- @include watch
local job = redis.call('HMGET', KEYS[2], 'namespace', 'name', 'deleted', 'queue')
local hot = readHot(KEYS[3])
if not job[1] or not hot or job[3] == '1' then return -2 end
if hot.generation ~= tonumber(ARGV[3]) or hot.decisionVersion ~= tonumber(ARGV[4]) then return -1 end
if ARGV[6] ~= '' then
  if hot.active > 0 or hot.terminating > 0 or hot.unjudged > 0 then return -3 end
  local needed = hot.completions < 0 and 1 or hot.completions
  if ARGV[6] == 'Complete' and hot.succeeded < needed then return -3 end
end

local now = readClock(KEYS[1], ARGV[1])
local rv = nextResourceVersion(KEYS[1], now)
redis.call('HSET', KEYS[2], 'status', ARGV[5], 'rv', string.format('%.0f', rv))
local critical = ARGV[7] == '1' or ARGV[6] ~= ''
if critical then hot.decisionVersion = hot.decisionVersion + 1 end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[2], 'finished', 1)
  redis.call('SREM', KEYS[5], ARGV[2])
  if hot.onQueue == 1 then redis.call('HINCRBY', KEYS[4], job[4], -1) end
  hot.limit, hot.onQueue = 0, 0
end
if critical then writeHot(KEYS[3], hot) end
tellJob(KEYS[6], rv, 'MODIFIED', ARGV[2], job[1], job[2])
return hot.decisionVersion
