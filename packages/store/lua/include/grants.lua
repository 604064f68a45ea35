-- What a slot was granted of the quota of its namespace follows its packed form (SLOT_BYTES), as text: `<namespace>
-- <requests.cpu> <requests.memory> <limits.cpu> <limits.memory>`, thousandths and bytes, beside the one pod. It stays with
-- the slot, whatever pods run in it one after the other, and is given back by the script that closes the slot.

-- Gives back grants; `grants` has the text of each with how often. `quota` has the keys `used` and `waiting`. When
-- somebody waits for quota of the namespace a controller looks who can go on. `due.lua` comes before this.
local function giveBack(quota, due, grants, now)
  for grant, count in pairs(grants) do
    local namespace, cpu, memory, cpuLimit, memoryLimit = string.match(grant, '^(%S+) (%d+) (%d+) (%d+) (%d+)$')
    local left = redis.call('HINCRBY', quota.used, namespace .. ' pods', -count)
    local amounts = { ['requests.cpu'] = cpu, ['requests.memory'] = memory, ['limits.cpu'] = cpuLimit,
      ['limits.memory'] = memoryLimit }
    for resource, amount in pairs(amounts) do
      local field = namespace .. ' ' .. resource
      if left <= 0 then
        redis.call('HDEL', quota.used, field)
      elseif amount ~= '0' then
        redis.call('HINCRBY', quota.used, field, string.format('%.0f', -count * amount))
      end
    end
    if left <= 0 then redis.call('HDEL', quota.used, namespace .. ' pods') end
    local first = redis.call('ZRANGEBYLEX', quota.waiting, '[' .. namespace .. ' ', '(' .. namespace .. '!', 'LIMIT', 0, 1)
    if #first > 0 then trigger(due, 'quota:' .. namespace, now, now) end
  end
end
