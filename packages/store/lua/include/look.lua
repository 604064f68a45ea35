-- A look at a Job, as observeJob answers it; false when there is none (any more). `own` has its keys,
-- `shared` those of the shard. Also answers how many pods are named. `record.lua` comes before this.
-- @include lanes
local lanesOf, jobsOn = {}, {}

local function readUnjudged(unjudgedKey, lossesKey)
  local flat
  if redis.call('HLEN', unjudgedKey) <= 500 then
    flat = redis.call('HGETALL', unjudgedKey)
  else
    flat = redis.call('HSCAN', unjudgedKey, '0', 'COUNT', 400)[2]
  end
  local unjudged = {}
  for i = 1, math.min(#flat, 1000), 2 do
    local index = string.format('%.0f', (struct.unpack('>I4', flat[i + 1])))
    local before = redis.call('HMGET', lossesKey, index, 'f' .. index)
    local n = #unjudged
    unjudged[n + 1], unjudged[n + 2] = flat[i], flat[i + 1]
    unjudged[n + 3], unjudged[n + 4] = before[1] or '0', before[2] or ''
  end
  return unjudged
end

-- The uids of a Job's pods begin as its own; what belongs to the Job itself lies between them.
local function hasOwningPods(ownedKey, uid)
  local prefix = string.sub(uid, 1, 24)
  local below = redis.call('ZRANGEBYLEX', ownedKey, '[' .. prefix, '(' .. uid .. '/', 'LIMIT', 0, 1)
  if #below > 0 then return 1 end
  return #redis.call('ZRANGEBYLEX', ownedKey, '[' .. uid .. '0', '(' .. prefix .. 'g', 'LIMIT', 0, 1)
end

local function valueOf(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

local function lookAt(shared, own, uid, pendingWanted)
  local job = redis.call('HGETALL', own.job)
  -- What is left of a purged Job is a mark, see purgeJob.
  local hot = #job > 0 and redis.call('GET', own.hot)
  if not hot then return false, 0 end
  local key, queue = valueOf(job, 'fittingKey'), valueOf(job, 'queue')
  lanesOf[key] = lanesOf[key] or countLanes(shared.lanes, shared.capacity, key)
  jobsOn[queue] = jobsOn[queue] or redis.call('HGET', shared.queues, queue) or '0'
  local unjudged = readUnjudged(own.unjudged, own.losses)
  local pending, pendingCount = {}, redis.call('ZCARD', own.pending)
  if pendingCount > 0 and pendingWanted > 0 then
    pending = redis.call('ZRANGE', own.pending, 0, pendingWanted - 1)
  end
  local hasOwners = hasOwningPods(shared.owned, uid)
  local look = { job, hot, unjudged, pending, pendingCount, lanesOf[key], jobsOn[queue], hasOwners }
  return look, #unjudged / 4 + #pending
end
