#!lua
--[[
  recordEvents: note what happened, the same thing once with its count; forget what is too old, and the oldest
  of too many.

  Caller   controller, worker: gathered

  KEYS[1]  string  <tag>:clock
  KEYS[2]  hash    <tag>:events
  KEYS[3]  zset    <tag>:events:names     members <namespace>/<name>
  KEYS[4]  zset    <tag>:events:versions  the same by resourceVersion
  KEYS[5]  hash    <tag>:meta             field eventTtlMs

  ARGV[1]  nowMs    test clock, or ''
  ARGV[2]  channel  of events
  ARGV[3]  writer   random id of the caller
  ARGV[4]  batch    number of the batch, rising for each writer
  then for each event:
  ARGV[+1] path     <namespace>/<name>
  ARGV[+2] count    `+n`: n times more; `=n`: n times in all, nothing is written when it is known to be as often
  ARGV[+3] body     JSON; the newest one is kept

  Returns   1  RECORDED
            0  REPLAYED  the batch was recorded before

  O(events * log n), at most 100 events. Safe to retry. One hash tag. Refused when memory is full.
]]
-- @include clock
-- @include events
local eventsKey, namesKey, versionsKey = KEYS[2], KEYS[3], KEYS[4]
local now, rv = readClock(KEYS[1], ARGV[1])
local writer, batch = '#' .. ARGV[3], tonumber(ARGV[4])
local lastBatch = redis.call('HGET', eventsKey, writer)
if lastBatch and tonumber(lastBatch) >= batch then return 0 end

local function versionOf(path)
  rv = versionAfter(rv, now)
  local version = string.format('%.0f', rv)
  redis.call('ZADD', versionsKey, version, path)
  return version
end

local nowText = string.format('%.0f', now)
local isNew = false
for i = 5, #ARGV, 3 do
  local path, mode, n = ARGV[i], string.sub(ARGV[i + 1], 1, 1), tonumber(string.sub(ARGV[i + 1], 2))
  local known = redis.call('HGET', eventsKey, path)
  local count, firstMs = 0, nowText
  if known then
    local knownCount, knownFirstMs = string.match(known, '^(%d+) (%d+)')
    count, firstMs = tonumber(knownCount), knownFirstMs
  else
    redis.call('ZADD', namesKey, 0, path)
  end
  local total = mode == '+' and count + n or n
  if total > count then
    isNew = true
    redis.call('HSET', eventsKey, path,
      string.format('%.0f', total) .. ' ' .. firstMs .. ' ' .. nowText .. ' ' .. versionOf(path) .. ' ' .. ARGV[i + 2])
  end
end
if not isNew then return 1 end

redis.call('HSET', eventsKey, writer, batch)
versionOf(writer)
local keys = { clock = KEYS[1], events = eventsKey, names = namesKey, versions = versionsKey }
local ttlMs = tonumber(redis.call('HGET', KEYS[5], 'eventTtlMs') or DEFAULT_TTL_MS)
finishEvents(keys, now, rv, ttlMs, (#ARGV - 4) / 3, ARGV[2])
return 1
