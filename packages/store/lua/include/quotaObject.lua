-- What a ResourceQuota allows, where the scripts that grant it look: see quota.lua.

local function quotasNow(keys, namespace)
  local text = redis.call('HGET', keys.hard, namespace)
  return text and cjson.decode(text)
end

-- `hard` is JSON of amounts by resource. Slots that are open when a namespace gets its first quota have to be counted
-- before there is more to be had; `version` names that time.
local function setQuota(keys, namespace, name, hard, version)
  local quotas = quotasNow(keys, namespace)
  if not quotas then
    quotas = {}
    redis.call('HSET', keys.used, namespace .. ' counting', version)
  end
  quotas[name] = cjson.decode(hard)
  redis.call('HSET', keys.hard, namespace, cjson.encode(quotas))
end

local function removeQuota(keys, namespace, name)
  local quotas = quotasNow(keys, namespace)
  if not quotas then return end
  quotas[name] = nil
  if next(quotas) then
    redis.call('HSET', keys.hard, namespace, cjson.encode(quotas))
  else
    redis.call('HDEL', keys.hard, namespace)
    redis.call('HDEL', keys.used, namespace .. ' counting')
  end
end
