#!lua
--[[
  writeEvent: keep an event as a client gives it, a new one or what one has become. What is too old counts as gone.

  Caller   server

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:events
  KEYS[3]  zset    <tag>:events:names     members <namespace>/<name>
  KEYS[4]  zset    <tag>:events:versions  the same by resourceVersion
  KEYS[5]  hash    <tag>:meta             field eventTtlMs

  ARGV[1]  nowMs     test clock, or ''
  ARGV[2]  channel   of events
  ARGV[3]  path      <namespace>/<name>
  ARGV[4]  count     times that it happened in all, >= 1
  ARGV[5]  body      JSON
  ARGV[6]  expected  resourceVersion that the change was made from; '' = a new one
  ARGV[7]  named     1 = its name does not begin with that of its object

  Returns  {1, resourceVersion}   WRITTEN
           {0, resourceVersion}   REPLAYED   it is there just so
           {-1}  ALREADY_EXISTS
           {-2}  NOT_FOUND
           {-3}  CONFLICT         another write came first

  O(log n). Safe to retry. One hash tag. Refused when memory is full.
]]
-- @include clock
-- @include events
local path, count, body, expected = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now, last = readClock(KEYS[1], ARGV[1])
local ttlMs = tonumber(redis.call('HGET', KEYS[5], 'eventTtlMs') or DEFAULT_TTL_MS)
local known = redis.call('HGET', KEYS[2], path)
local knownCount, firstMs, lastMs, version, knownBody
if known then
  knownCount, firstMs, lastMs, version, knownBody = string.match(known, '^(%d+) (%d+) (%d+) (%d+) (.*)$')
  if tonumber(lastMs) <= now - ttlMs then known = nil end
end
if known and knownCount == count and knownBody == body then return { 0, version } end
if expected == '' and known then return { -1 } end
if expected ~= '' and not known then return { -2 } end
if expected ~= '' and expected ~= version then return { -3 } end

local nowText = string.format('%.0f', now)
local rv = versionAfter(last, now)
local rvText = string.format('%.0f', rv)
redis.call('HSET', KEYS[2], path,
  count .. ' ' .. (known and firstMs or nowText) .. ' ' .. nowText .. ' ' .. rvText .. ' ' .. body)
-- Until this is too old, lists of an object's events go through all of them.
if ARGV[7] == '1' then redis.call('HSET', KEYS[2], '#named', nowText) end
redis.call('ZADD', KEYS[3], 0, path)
redis.call('ZADD', KEYS[4], rvText, path)
local keys = { clock = KEYS[1], events = KEYS[2], names = KEYS[3], versions = KEYS[4] }
finishEvents(keys, now, rv, ttlMs, 1, ARGV[2])
return { 1, rvText }
