#!lua flags=allow-oom
--[[
  resizeJob: give an Indexed Job another number of completions. What is known of indexes beyond the smaller one of both
  ranges is removed, in steps of bounded work; the last step sets the number and writes the status that shows it.

  Caller   controller, when the gate is closed and no pod of an index that goes counts any more

  KEYS[1]  string  <tag>:clock
  KEYS[2]  stream  <tag>:watch
  KEYS[3]  hash    <tag>:job:<uid>
  KEYS[4]  string  <tag>:job:<uid>:hot
  KEYS[5]  string  <tag>:job:<uid>:done     bitmap
  KEYS[6]  string  <tag>:job:<uid>:failed   bitmap
  KEYS[7]  zset    <tag>:job:<uid>:retry
  KEYS[8]  hash    <tag>:job:<uid>:losses

  ARGV[1]  nowMs            test clock, or ''
  ARGV[2]  uid              string
  ARGV[3]  generation       that the decision was made from
  ARGV[4]  decisionVersion  that the decision was made from
  ARGV[5]  completions      integer >= 0
  ARGV[6]  status           JSON
  ARGV[7]  doneFrom         where this step begins in each of the four: as answered by the step before, at first 0;
  ARGV[8]  failedFrom       '-' = nothing is left to be removed
  ARGV[9]  retryFrom
  ARGV[10] lossesFrom

  Returns  {1, decisionVersion}                             RESIZED
           {0, doneFrom, failedFrom, retryFrom, lossesFrom}  MORE
           {-1}  MOVED        generation or decisionVersion changed
           {-2}  GONE         no such Job, or it is finished or deleted
           {-3}  NOT_SETTLED  a pod waits for its verdict, or indexes go and the gate is open

  Between two steps the field `cut` of the Job says from where on everything is void, so that whoever goes on, with
  whatever number, removes all of it before one of these indexes is given out again. A step that runs twice removes
  nothing more; a second last step answers MOVED. O(1): at most 64 KiB of each bitmap and about 200 entries of retry and
  losses. One hash tag.
]]
-- @include clock
-- @include hot
-- @include watch
local STEP_BYTES, STEP_ENTRIES, FIRST_TIME, NOTHING_LEFT = 65536, 200, 4294967296, '-'
local hot = readHot(KEYS[4])
local job = redis.call('HMGET', KEYS[3], 'namespace', 'name', 'finished', 'deleted', 'cut')
if not hot or not job[1] or job[3] == '1' or job[4] == '1' then return { -2 } end
if hot.generation ~= tonumber(ARGV[3]) or hot.decisionVersion ~= tonumber(ARGV[4]) then return { -1 } end
local completions = tonumber(ARGV[5])
local first = math.min(completions, hot.completions, tonumber(job[5] or math.huge))
local removes = first < hot.completions
if hot.unjudged > 0 or removes and hot.limit > 0 then return { -3 } end

-- Clears bits from `first` on, as far as a step goes. Answers how many were set, and where to go on.
local function clearBits(key, from)
  if from == NOTHING_LEFT or not removes then return 0, NOTHING_LEFT end
  local size, at, cleared = redis.call('STRLEN', key), tonumber(from), 0
  local firstByte = math.floor(first / 8)
  if at <= firstByte then
    at = firstByte
    local keptBits = first % 8
    if keptBits > 0 and size > at then
      local before = redis.call('BITCOUNT', key, at, at)
      local byte = string.byte(redis.call('GETRANGE', key, at, at))
      redis.call('SETRANGE', key, at, string.char(byte - byte % 2 ^ (8 - keptBits)))
      cleared = before - redis.call('BITCOUNT', key, at, at)
    end
    if keptBits > 0 then at = at + 1 end
  end
  local last = math.min(size, at + STEP_BYTES)
  if last > at then
    local set = redis.call('BITCOUNT', key, at, last - 1)
    if set > 0 then redis.call('SETRANGE', key, at, string.rep('\0', last - at)) end
    cleared = cleared + set
  end
  return cleared, last >= size and NOTHING_LEFT or string.format('%.0f', last)
end

-- Removes the entries of a scan whose index goes. Answers where to go on.
local function removeEntries(scan, remove, key, from, indexOf, removed)
  if from == NOTHING_LEFT or not removes then return NOTHING_LEFT end
  local page = redis.call(scan, key, from, 'COUNT', STEP_ENTRIES)
  local flat, gone = page[2], {}
  for i = 1, #flat, 2 do
    local index = indexOf(flat[i])
    if index and index >= first then
      gone[#gone + 1] = flat[i]
      removed(flat[i], flat[i + 1])
    end
  end
  -- A scan of few entries answers all of them, and only so many values fit on Lua's stack.
  for i = 1, #gone, 1000 do redis.call(remove, key, unpack(gone, i, math.min(i + 999, #gone))) end
  return page[1] == '0' and NOTHING_LEFT or page[1]
end

local doneCount, doneFrom = clearBits(KEYS[5], ARGV[7])
local failedCount, failedFrom = clearBits(KEYS[6], ARGV[8])
hot.succeeded = hot.succeeded - doneCount
if failedCount > 0 then redis.call('HINCRBY', KEYS[8], 'failed', -failedCount) end
local retryFrom = removeEntries('ZSCAN', 'ZREM', KEYS[7], ARGV[9], tonumber, function(_, score)
  if tonumber(score) < FIRST_TIME then hot.retryCount = hot.retryCount - 1 end
end)
local lossesFrom = removeEntries('HSCAN', 'HDEL', KEYS[8], ARGV[10], function(field)
  return tonumber((string.gsub(field, '^f', '')))
end, function(field)
  if tonumber(field) then hot.lossCount = hot.lossCount - 1 end
end)

for _, from in ipairs({ doneFrom, failedFrom, retryFrom, lossesFrom }) do
  if from ~= NOTHING_LEFT then
    redis.call('HSET', KEYS[3], 'cut', string.format('%.0f', first))
    writeHot(KEYS[4], hot)
    return { 0, doneFrom, failedFrom, retryFrom, lossesFrom }
  end
end
local rv = nextResourceVersion(KEYS[1], readClock(KEYS[1], ARGV[1]))
hot.completions, hot.cursor = completions, math.min(hot.cursor, first)
hot.decisionVersion = hot.decisionVersion + 1
writeHot(KEYS[4], hot)
redis.call('HDEL', KEYS[3], 'cut')
redis.call('HSET', KEYS[3], 'status', ARGV[6], 'rv', string.format('%.0f', rv))
tellJob(KEYS[2], rv, 'MODIFIED', ARGV[2], job[1], job[2])
return { 1, hot.decisionVersion }
