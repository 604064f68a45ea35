#!lua
--[[
  addJobFields: write fields of Jobs that a newer layout has, where they are missing.

  Caller   migration of the layout

  KEYS[1+] hash    <tag>:job:<uid>

  ARGV[1+] fields  of each Job in order: JSON object of texts

  Returns  how many Jobs got some

  A Job that is gone stays so, and a field that is there as it is; so a second run writes nothing. O(Jobs), at most 100.
  One hash tag. Refused when memory is full.
]]
local changed = 0
for i, key in ipairs(KEYS) do
  if redis.call('HEXISTS', key, 'namespace') == 1 then
    local added = 0
    for name, value in pairs(cjson.decode(ARGV[i])) do added = added + redis.call('HSETNX', key, name, value) end
    if added > 0 then changed = changed + 1 end
  end
end
return changed
