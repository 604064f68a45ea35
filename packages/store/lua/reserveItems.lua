#!lua
--[[
  reserveItems: give a batch of new items its ids, before they are handed to BullMQ. The batch is
  open until commitItems; one whose producer dies before is abandoned after its deadline.

  Caller   sdk

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  hash    <tag>:wq:<uid>
  KEYS[6]  zset    <tag>:wq:<uid>:open        batchId by deadline
  KEYS[7]  hash    <tag>:wq:<uid>:batches     batchId to <first id>:<count>:<open, committed or abandoned>
  KEYS[8]  hash    <tag>:wq:<uid>:keys        key to id
  KEYS[9]  string  <tag>:wq:<uid>:abandoned   bitmap
  KEYS[10] hash    <tag>:wq:<uid>:dead
  KEYS[11] hash    <tag>:wq:<uid>:retrying    id of a dead-lettered item to the batch that brings it back

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          string
  ARGV[4]  batchId      string, chosen by the caller: the idempotency key
  ARGV[5]  count        of items, at most 1000
  ARGV[6]  leaseMs      for how long the batch may stay open
  ARGV[7]  of           what follows: 'keys', 'dead', or '' = nothing
  ARGV[8+] key of each item; or ids of dead-lettered items that are to be enqueued again, which a sealed queue
           takes too

  Returns  {1, firstId, newCount, ids...}  RESERVED  ids: with ARGV[8+], for each item 0 when it is new; the new ones
                                                     have firstId and those after it. Else the id that has its key,
                                                     or the given one, when that is not dead (any more), or another
                                                     batch is bringing it back
           {-1}  SEALED
           {-2}  NOT_FOUND
           {-3, waitMs}  PENDING  an open batch has one of the keys: if it is abandoned, its item counts for nothing.
                                  waitMs: until that is late, 0 = it is by now

  A batch that was reserved before gets the same answer. O(items), with keys of open batches + O(these). One hash tag.
  Refused when memory is full.
]]
-- @include clock
-- @include due
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local uid, batchId, count = ARGV[3], ARGV[4], tonumber(ARGV[5])
local queue = redis.call('HMGET', KEYS[5], 'sealedMs', 'enqueued', 'open')
if not queue[1] then return { -2 } end
local batch = redis.call('HGET', KEYS[7], batchId)
if not batch and queue[1] ~= '0' and ARGV[7] ~= 'dead' then return { -1 } end

local first, newCount = tonumber(queue[2]) + 1, count
if batch then
  local at, size = string.match(batch, '^(%d+):(%d+):')
  first, newCount = tonumber(at), tonumber(size)
end
local now = readClock(KEYS[1], ARGV[1])

-- When the open batch is late that has the first of these ids that one has; nil = none has any.
local function lateOf(ids)
  local open, from, past, oldest = redis.call('ZRANGE', KEYS[6], 0, -1, 'WITHSCORES'), {}, {}, math.huge
  for i = 1, #open, 2 do
    local at, size = string.match(redis.call('HGET', KEYS[7], open[i]), '^(%d+):(%d+):')
    from[i], past[i] = tonumber(at), at + size
    oldest = math.min(oldest, from[i])
  end
  for _, id in ipairs(ids) do
    -- Most are older than all of them.
    for i = 1, id >= oldest and #open or 0, 2 do
      if id >= from[i] and id < past[i] then return tonumber(open[i + 1]) end
    end
  end
end

local reply = { 1, first, newCount }
local claims = {}
if ARGV[7] == 'dead' then
  local ids = {}
  for i = 8, #ARGV do ids[#ids + 1] = ARGV[i] end
  local dead, claimed = redis.call('HMGET', KEYS[10], unpack(ids)), redis.call('HMGET', KEYS[11], unpack(ids))
  for i, id in ipairs(ids) do
    local isFree = claimed[i] == batchId
    if not isFree and not batch and dead[i] then
      -- A batch that was abandoned brings nothing back.
      local other = claimed[i] and redis.call('HGET', KEYS[7], claimed[i])
      isFree = not (other and string.find(other, ':open$'))
    end
    reply[3 + i] = isFree and 0 or tonumber(id)
    if isFree then
      claims[#claims + 1] = id
      claims[#claims + 1] = batchId
    end
  end
  if not batch then
    newCount = #claims / 2
    reply[3] = newCount
  end
elseif ARGV[7] == 'keys' then
  local keys, fresh, seen, known = {}, {}, {}, {}
  for i = 8, #ARGV do keys[#keys + 1] = ARGV[i] end
  local ids = redis.call('HMGET', KEYS[8], unpack(keys))
  local given = 0
  for i, key in ipairs(keys) do
    local id = seen[key] or tonumber(ids[i] or 0)
    -- Of this batch, when it was reserved before.
    local isOwn = not seen[key] and batch and id >= first and id < first + newCount
    -- An item that never came to be gave its key free.
    if id > 0 and not batch and not seen[key] and redis.call('GETBIT', KEYS[9], id) == 1 then id = 0 end
    if isOwn or id == 0 then
      id = first + given
      given = given + 1
      fresh[#fresh + 1] = key
      fresh[#fresh + 1] = id
      reply[3 + i] = 0
    else
      reply[3 + i] = id
      if not batch and not seen[key] then known[#known + 1] = id end
    end
    seen[key] = id
  end
  local lateMs = #known > 0 and queue[3] ~= '0' and lateOf(known)
  if lateMs then return { -3, math.max(0, lateMs - now) } end
  if not batch then
    newCount = given
    reply[3] = newCount
    if #fresh > 0 then redis.call('HSET', KEYS[8], unpack(fresh)) end
  end
end
if batch or newCount == 0 then return reply end
if #claims > 0 then redis.call('HSET', KEYS[11], unpack(claims)) end

local deadline = now + tonumber(ARGV[6])
redis.call('HINCRBY', KEYS[5], 'enqueued', newCount)
redis.call('HINCRBY', KEYS[5], 'open', 1)
redis.call('HSET', KEYS[7], batchId, string.format('%d:%d:open', first, newCount))
redis.call('ZADD', KEYS[6], deadline, batchId)
if queue[3] == '0' then trigger(due, 'wq:' .. uid, deadline, now) end
return reply
