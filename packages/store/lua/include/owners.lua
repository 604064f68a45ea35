-- Objects that belong to others. The field `owners` of an object has `<uid>/<1 if it blocks the owner's foreground
-- deletion, else 0>` for each owner, apart by spaces, with `/<name>` behind it when a CronJob made the object;
-- `<tag>:owned` has each of them with the member of the object, such as `job:<uid>`, behind it, so that what belongs to
-- an owner is a range.
local function forOwners(owners, each)
  for uid, blocks, cronJob in string.gmatch(owners, '([^/%s]+)/([01])/?([^/%s]*)') do each(uid, blocks, cronJob) end
end

-- The CronJob of a Job that came, ended or went has to see to what that means for it.
local function lookAtCronJob(due, owners, namespace, now)
  forOwners(owners, function(_, _, cronJob)
    if cronJob ~= '' then trigger(due, 'cron:' .. namespace .. '/' .. cronJob, now, now) end
  end)
end

local function addOwned(ownedKey, member, owners)
  forOwners(owners, function(uid, blocks) redis.call('ZADD', ownedKey, 0, uid .. '/' .. blocks .. '/' .. member) end)
end

-- An owner may be gone before what belongs to it comes, and waits for what goes: controllers look in both cases.
local function setOwners(due, ownedKey, member, namespace, before, after, now)
  if before == after then return end
  forOwners(before, function(uid, blocks, cronJob)
    redis.call('ZREM', ownedKey, uid .. '/' .. blocks .. '/' .. member)
    -- A CronJob is looked at as such, and with it what it waits for.
    if cronJob == '' then trigger(due, 'gc:' .. uid, now, now) end
  end)
  addOwned(ownedKey, member, after)
  forOwners(after, function(uid) trigger(due, 'gc:' .. uid, now, now) end)
  lookAtCronJob(due, before, namespace, now)
  lookAtCronJob(due, after, namespace, now)
end

-- '0' is the character after '/', so this bounds exactly one owner.
local function isOwner(ownedKey, uid)
  return #redis.call('ZRANGEBYLEX', ownedKey, '[' .. uid .. '/', '(' .. uid .. '0', 'LIMIT', 0, 1) > 0
end
