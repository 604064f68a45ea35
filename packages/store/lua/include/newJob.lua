-- Stores what is new of a Job. Its arguments begin at `i`: uid, namespace, name, object, status, completions, queue,
-- fittingKey, indexed, finalizers, owners, bare, share.
local newHot
local function storeJob(jobKey, hotKey, i, version, createdMs)
  redis.call('HSET', jobKey, 'namespace', ARGV[i + 1], 'name', ARGV[i + 2], 'object', ARGV[i + 3], 'status', ARGV[i + 4],
    'rv', version, 'generation', 1, 'finished', 0, 'deleted', 0, 'createdMs', createdMs,
    'queue', ARGV[i + 6], 'fittingKey', ARGV[i + 7])
  if ARGV[i + 11] == '1' then redis.call('HSET', jobKey, 'bare', 1) end
  if ARGV[i + 9] ~= '' then redis.call('HSET', jobKey, 'finalizers', ARGV[i + 9]) end
  if ARGV[i + 10] ~= '' then redis.call('HSET', jobKey, 'owners', ARGV[i + 10]) end
  if ARGV[i + 12] ~= '' then redis.call('HSET', jobKey, 'share', ARGV[i + 12]) end
  -- A new Job's numbers begin at 0.
  if not newHot then
    redis.call('SET', hotKey, string.rep('\0', struct.size(HOT)))
    newHot = readHot(hotKey)
    newHot.generation, newHot.decisionVersion, newHot.rules, newHot.nextSlot = 1, 1, 1, 1
  end
  newHot.completions, newHot.indexed = tonumber(ARGV[i + 5]), tonumber(ARGV[i + 8])
  writeHot(hotKey, newHot)
end
