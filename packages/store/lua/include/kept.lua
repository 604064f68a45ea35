-- What is kept of the pods of finished Jobs, all Jobs of the shard together. `kept` are the keys jobs, failed, total: the
-- Jobs by when they finished, those of which only failed pods are left, and how many pods that is.
local function addKept(kept, uid, count, now)
  if count == 0 then return end
  redis.call('ZADD', kept.jobs, now, uid)
  redis.call('INCRBY', kept.total, count)
end

-- Some were removed, and so many are left.
local function subtractKept(kept, uid, count, left)
  if count == 0 then return end
  redis.call('DECRBY', kept.total, count)
  if left > 0 then return end
  redis.call('ZREM', kept.jobs, uid)
  redis.call('ZREM', kept.failed, uid)
end
