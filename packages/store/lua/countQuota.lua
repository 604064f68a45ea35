#!lua
--[[
  countQuota: let slots that were open before their namespace had a ResourceQuota have their share of it, whatever it
  allows, as pods that run already are counted in Kubernetes.

  Caller   controller, when a namespace gets its first quota

  KEYS[1]  hash  <tag>:job:<uid>
  KEYS[2]  hash  <tag>:job:<uid>:slots
  KEYS[3]  hash  <tag>:quota:used

  ARGV[1+] slot numbers, at most 200

  Returns   number of slots that were given a share

  A slot that has one keeps it; so a second run gives no more. O(slots). One hash tag. Refused when memory is full.
]]
-- @include record
-- @include quota
local job = redis.call('HMGET', KEYS[1], 'namespace', 'share')
if not job[1] then return 0 end
local slots = {}
for i = 1, #ARGV do slots[i] = ARGV[i] end
local held = redis.call('HMGET', KEYS[2], unpack(slots))
local share = shareOf(job[2])
local text = grantText(job[1], share)
local changed, seen = {}, {}
for i, packed in ipairs(held) do
  if packed and #packed == SLOT_BYTES and not seen[slots[i]] then
    seen[slots[i]] = true
    changed[#changed + 1] = slots[i]
    changed[#changed + 1] = packed .. text
  end
end
if #changed == 0 then return 0 end
redis.call('HSET', KEYS[2], unpack(changed))
grant(KEYS[3], job[1], share, #changed / 2)
return #changed / 2
