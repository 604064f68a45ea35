#!lua flags=allow-oom
--[[
  dropItems: remove QueueJobs that no worker has from the end of BullMQ's list where workers take them: for each what its
  removeJob does, but without looking through the whole list.

  Caller   sdk

  KEYS[1]  list    {P:wq:<uid>}:i:wait

  ARGV[1]  prefix  of the keys of QueueJobs: {P:wq:<uid>}:i:
  ARGV[2+] ids     the last of the list first

  Returns  the ids of those that are there no more; the others a worker has by now, or they are far from the end

  Safe to retry. O(ids * 100), at most 100, and O(ids) when nobody else is quicker. One hash tag.
]]
local FAR = 100
local prefix, gone = ARGV[1], {}
for i = 2, #ARGV do
  local id = ARGV[i]
  if redis.call('LPOS', KEYS[1], id, 'RANK', -1, 'MAXLEN', FAR) then
    redis.call('LREM', KEYS[1], -1, id)
    redis.call('UNLINK', prefix .. id)
    gone[#gone + 1] = id
  elseif redis.call('EXISTS', prefix .. id) == 0 then
    gone[#gone + 1] = id
  end
end
return gone
