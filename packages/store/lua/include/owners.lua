-- Objects that belong to others. The field `owners` of an object has `<uid>/<1 if it blocks the owner's foreground
-- deletion, else 0>` for each owner, apart by spaces; `<tag>:owned` has each of them with the member of the object,
-- such as `job:<uid>`, behind it, so that what belongs to an owner is a range.
local function forOwners(owners, each)
  for uid, blocks in string.gmatch(owners, '(%S+)/([01])') do each(uid, blocks) end
end

-- An owner may be gone before what belongs to it comes, and waits for what goes: controllers look in both cases.
local function lookAtOwners(due, owners, now)
  forOwners(owners, function(uid) trigger(due, 'gc:' .. uid, now, now) end)
end

local function setOwners(due, ownedKey, member, before, after, now)
  if before == after then return end
  forOwners(before, function(uid, blocks) redis.call('ZREM', ownedKey, uid .. '/' .. blocks .. '/' .. member) end)
  forOwners(after, function(uid, blocks) redis.call('ZADD', ownedKey, 0, uid .. '/' .. blocks .. '/' .. member) end)
  lookAtOwners(due, before, now)
  lookAtOwners(due, after, now)
end

-- '0' is the character after '/', so this bounds exactly one owner.
local function isOwner(ownedKey, uid)
  return #redis.call('ZRANGEBYLEX', ownedKey, '[' .. uid .. '/', '(' .. uid .. '0', 'LIMIT', 0, 1) > 0
end
