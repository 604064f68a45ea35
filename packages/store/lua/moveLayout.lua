#!lua flags=allow-oom
--[[
  moveLayout: say how far the keys of an installation are on their way to another layout, compare-and-set.

  Caller   migration of the layout

  KEYS[1]  hash    {P:installation}:settings

  ARGV[1]  expected  what layoutVersion must say
  ARGV[2]  layout    what it says from now on: `2`, or `2>3` while a migration is under way
  ARGV[3]  cursor    behind which what is still to be done begins, or ''

  Returns   1  MOVED
           -1  OTHER  somebody else has moved it

  Safe to retry: with the same cursor it changes nothing, or answers OTHER. O(1).
]]
if redis.call('HGET', KEYS[1], 'layoutVersion') ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[1], 'layoutVersion', ARGV[2])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'migrationCursor')
else
  redis.call('HSET', KEYS[1], 'migrationCursor', ARGV[3])
end
return 1
