#!lua flags=allow-oom
--[[
  deleteEvents: forget events, whoever wrote them.

  Caller   server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:events           field #deleted: the resourceVersion of the last call that forgot some
  KEYS[3]  zset    <tag>:events:names     members <namespace>/<name>
  KEYS[4]  zset    <tag>:events:versions  the same by resourceVersion
  KEYS[5]  hash    <tag>:meta             field eventTtlMs

  ARGV[1]  nowMs     test clock, or ''
  ARGV[2]  channel   of events
  then for each event:
  ARGV[+1] path      <namespace>/<name>
  ARGV[+2] expected  resourceVersion that it must have; '' = any

  Returns  for each event
            1  DELETED
           -1  NOT_FOUND
           -2  CONFLICT   it has another resourceVersion

  O(events * log n), at most 100 events. Safe to retry: what is gone is NOT_FOUND. One hash tag.
]]
-- @include clock
-- @include events
local now, last = readClock(KEYS[1], ARGV[1])
local ttlMs = tonumber(redis.call('HGET', KEYS[5], 'eventTtlMs') or DEFAULT_TTL_MS)
local answers, gone = {}, {}
for i = 3, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[2], ARGV[i])
  local lastMs, version
  if known then
    lastMs, version = string.match(known, '^%d+ %d+ (%d+) (%d+)')
  end
  local answer = 1
  if not known or tonumber(lastMs) <= now - ttlMs then
    answer = -1
  elseif ARGV[i + 1] ~= '' and ARGV[i + 1] ~= version then
    answer = -2
  else
    gone[#gone + 1] = ARGV[i]
  end
  answers[#answers + 1] = answer
end
if #gone == 0 then return answers end

local rv = versionAfter(last, now)
local keys = { clock = KEYS[1], events = KEYS[2], names = KEYS[3], versions = KEYS[4] }
forgetEvents(keys, gone)
redis.call('HSET', KEYS[2], '#deleted', string.format('%.0f', rv))
finishEvents(keys, now, rv, ttlMs, #gone, ARGV[2])
return answers
