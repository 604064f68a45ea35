#!lua flags=allow-oom
--[[
  loseItems: a pod ended with items in hand; how often that happened to each of them.

  Caller   worker

  KEYS[1]  hash  <tag>:wq:<uid>
  KEYS[2]  hash  <tag>:wq:<uid>:losses   id to <count>:<the last pod>

  ARGV[1]  pod  <job uid>.<podNumber>: what makes a second run count nothing
  ARGV[2+] ids of the items

  Returns  a list: how many pods each item was lost with; empty when there is no such work queue

  O(items), at most 500. Safe to retry. One hash tag.
]]
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return {} end
local ids = {}
for i = 2, #ARGV do ids[#ids + 1] = ARGV[i] end
local known, counts, written = redis.call('HMGET', KEYS[2], unpack(ids)), {}, {}
for i, id in ipairs(ids) do
  local count, pod = string.match(known[i] or '0:', '^(%d+):(.*)$')
  counts[i] = tonumber(count)
  if pod ~= ARGV[1] then
    counts[i] = counts[i] + 1
    written[#written + 1] = id
    written[#written + 1] = counts[i] .. ':' .. ARGV[1]
  end
end
if #written > 0 then redis.call('HSET', KEYS[2], unpack(written)) end
return counts
