-- Lanes of the live sessions for a fitting key; for one with requests the pods that they have lanes and resources for.
-- What a session has is a member of a sorted set, `<key of its lanes> <cpu>,<memory>,<lanes>,<session>`.
local capacities = {}
-- How many sessions were looked at, for all keys together: what bounds a script's time.
local sessionsSeen = 0

local function capacityOf(capacityKey, lanes)
  if capacities[lanes] then return capacities[lanes] end
  local found = {}
  for i, member in ipairs(redis.call('ZRANGEBYLEX', capacityKey, '[' .. lanes .. ' ', '(' .. lanes .. '!')) do
    local cpu, memory, count = string.match(member, '^(%d+),(%d+),(%d+),', #lanes + 2)
    found[i] = { tonumber(cpu), tonumber(memory), tonumber(count) }
  end
  capacities[lanes] = found
  return found
end

local function countLanes(lanesKey, capacityKey, fittingKey)
  local cpu, memory, lanes = string.match(fittingKey, '^cpu=(%d+),memory=(%d+) (.*)$')
  if not cpu then return tonumber(redis.call('HGET', lanesKey, fittingKey) or 0) end
  cpu, memory = tonumber(cpu), tonumber(memory)
  local sum = 0
  local found = capacityOf(capacityKey, lanes)
  sessionsSeen = sessionsSeen + #found
  for _, has in ipairs(found) do
    local fit = has[3]
    if cpu > 0 then fit = math.min(fit, math.floor(has[1] / cpu)) end
    if memory > 0 then fit = math.min(fit, math.floor(has[2] / memory)) end
    sum = sum + fit
  end
  return sum
end
