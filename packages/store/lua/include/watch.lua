-- Tells watchers what changed; the entry's id begins with the resourceVersion.
local WATCH_LENGTH = 10000

local function tellObject(watchKey, rv, kind, eventType, uid, namespace, name)
  redis.call('XADD', watchKey, 'MAXLEN', '~', WATCH_LENGTH, string.format('%.0f-*', rv),
    'k', kind, 'e', eventType, 'u', uid, 's', namespace, 'n', name)
end

-- Pods from..to of a Job; only while somebody watches pods of the shard: told by `podWatchersKey`.
local function addPodsEntry(watchKey, rv, uid, from, to)
  redis.call('XADD', watchKey, 'MAXLEN', '~', WATCH_LENGTH, string.format('%.0f-*', rv),
    'k', 'Pods', 'u', uid, 'f', from, 't', to)
end

-- A pod without a Job is told of as a pod: as one that may have changed.
local function tellJob(watchKey, rv, eventType, uid, namespace, name, isBare)
  if isBare then
    addPodsEntry(watchKey, rv, uid, 1, 1)
  else
    tellObject(watchKey, rv, 'Job', eventType, uid, namespace, name)
  end
end

local function tellPods(watchKey, podWatchersKey, rv, uid, from, to)
  if from > to or redis.call('EXISTS', podWatchersKey) == 0 then return end
  addPodsEntry(watchKey, rv, uid, from, to)
end
