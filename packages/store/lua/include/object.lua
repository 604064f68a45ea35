-- Objects that are kept as they are: one hash each, found by kind, namespace and name.

-- Tells watchers, and those who wait for an object of this name.
local function tellOfObject(watchKey, channel, rv, kind, eventType, uid, namespace, name)
  tellObject(watchKey, rv, kind, eventType, uid, namespace, name)
  redis.call('PUBLISH', channel, kind .. ' ' .. namespace .. '/' .. name)
end

-- Removes one. A mark stays for ten minutes, so that a create that comes late does not bring it back.
local function removeObject(objectKey, namesKey, uid, namespace, name)
  redis.call('ZREM', namesKey, namespace .. '/' .. name)
  redis.call('UNLINK', objectKey)
  redis.call('HSET', objectKey, 'goneUid', uid)
  redis.call('PEXPIRE', objectKey, 600000)
end

-- One of a kind that does something is looked at by a controller when it changes. `due.lua` comes before this.
local function triggerObject(due, member, now)
  if member ~= '' then trigger(due, member, now, now) end
end

-- What goes with such a one: what is noted of it, and what belongs to it, in the background.
local function removeRecord(due, member, recordKey, uid, now)
  if member == '' then return end
  redis.call('UNLINK', recordKey)
  trigger(due, 'gc:' .. uid, now, now)
end

-- What it belongs to, as in the include `owners`, which comes before this.
local function setObjectOwners(due, ownedKey, objectKey, path, before, after, now)
  if before == after then return end
  local member = 'object:' .. path.kind .. '/' .. path.namespace .. '/' .. path.name
  setOwners(due, ownedKey, member, path.namespace, before, after, now)
  if after == '' then
    redis.call('HDEL', objectKey, 'owners')
  else
    redis.call('HSET', objectKey, 'owners', after)
  end
end
