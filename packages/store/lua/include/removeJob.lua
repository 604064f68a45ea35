-- What scripts that may end a Job need of it; nil when there is no such Job (any more).
local function readJob(jobKey)
  local read = redis.call('HMGET', jobKey, 'namespace', 'name', 'deleted', 'rv', 'finalizers', 'deletionMs', 'owners',
    'orphaned', 'queue', 'bare', 'free')
  if not read[1] or read[3] == '1' then return nil end
  return { namespace = read[1], name = read[2], rv = read[4], finalizers = read[5] or '', deletionMs = read[6],
    owners = read[7] or '', isOrphaned = read[8] == '1', queue = read[9],
    isBare = read[10] == '1', hasFree = read[11] == '1' }
end

-- The end of a Job's object: the name is free, what belongs to it is looked at, and its hot state stays until its pods
-- ended; pods that were orphaned, or released before, stay, too. `keys` are names, uids, job, hot, watch, owned,
-- orphaned, queues.
local function removeJob(due, keys, uid, job, hot, rv, now)
  local path = (job.isBare and '~' or '') .. job.namespace .. '/' .. job.name
  redis.call('ZREM', keys.names, path)
  redis.call('HDEL', keys.uids, path)
  redis.call('HSET', keys.job, 'deleted', 1, 'rv', string.format('%.0f', rv))
  hot.limit = 0
  if job.isOrphaned or job.hasFree then redis.call('ZADD', keys.orphaned, 0, path .. '/' .. uid) end
  if job.isOrphaned then
    if hot.onQueue == 1 then redis.call('HINCRBY', keys.queues, job.queue, -1) end
    hot.onQueue = 0
  end
  hot.decisionVersion = hot.decisionVersion + 1
  writeHot(keys.hot, hot)
  setOwners(due, keys.owned, 'job:' .. uid, job.namespace, job.owners, '', now)
  if isOwner(keys.owned, uid) then trigger(due, 'gc:' .. uid, now, now) end
  tellJob(keys.watch, rv, 'DELETED', uid, job.namespace, job.name, job.isBare)
  trigger(due, 'job:' .. uid, now, now)
end
