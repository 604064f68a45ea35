-- ResourceQuotas: `hard` has for each namespace with some JSON of `{ <name of a quota>: { <resource>: <amount> } }`,
-- amounts in thousandths, bytes and pieces, as text; `used` has `<namespace> <resource>` to what is granted of it, and
-- `<namespace> counting` while the slots that were open before the namespace had a quota are not all in that.
local POSITIONS = { pods = 1, cpu = 2, ['requests.cpu'] = 2, memory = 3, ['requests.memory'] = 3,
  ['limits.cpu'] = 4, ['limits.memory'] = 5 }
-- Resources that each container has to state when they are bounded, by the bit that says that one does not.
local MUST_BE_STATED = { [2] = 1, [3] = 2, [4] = 4, [5] = 8 }
local quotas = {}

-- The quotas of a namespace, or false.
local function quotasOf(keys, namespace)
  if quotas[namespace] ~= nil then return quotas[namespace] end
  local text = redis.call('HGET', keys.hard, namespace)
  local found = false
  if text then
    local prefix = namespace .. ' '
    local read = redis.call('HMGET', keys.used, prefix .. 'pods', prefix .. 'requests.cpu', prefix .. 'requests.memory',
      prefix .. 'limits.cpu', prefix .. 'limits.memory', prefix .. 'counting')
    found = { hard = cjson.decode(text), names = {}, used = {}, isCounting = read[6] }
    for name in pairs(found.hard) do found.names[#found.names + 1] = name end
    table.sort(found.names)
    for i = 1, 5 do found.used[i] = tonumber(read[i] or 0) end
  end
  quotas[namespace] = found
  return found
end

-- What a pod takes, in the order of POSITIONS, of the field `share` of its Job; sixth are the bits of what it does not
-- state. Most pods state nothing, and their Jobs have no such field.
local function shareOf(text)
  local share = { 1, 0, 0, 0, 0, 15 }
  if not text or text == '' then return share end
  local i = 1
  for number in string.gmatch(text, '%d+') do
    i = i + 1
    share[i] = tonumber(number)
  end
  return share
end

local function isUnstated(share, at)
  local bit = MUST_BE_STATED[at]
  return bit and math.floor(share[6] / bit) % 2 == 1
end

-- For how many pods of a share there is room, at most `most`.
local function roomFor(found, share, most)
  local room = most
  for _, name in ipairs(found.names) do
    for resource, limit in pairs(found.hard[name]) do
      local at = POSITIONS[resource]
      if at and (found.isCounting or isUnstated(share, at)) then return 0 end
      if at and share[at] > 0 then room = math.min(room, math.floor((limit - found.used[at]) / share[at])) end
    end
  end
  return math.max(0, room)
end

local function denial(name, kind, resources)
  if #resources > 0 then return { quota = name, type = kind, resources = resources } end
end

-- Why there is no room for another one, or nil.
local function denialOf(found, share)
  for _, name in ipairs(found.names) do
    local bounded, unstated, exceeded = {}, {}, {}
    for resource, limit in pairs(found.hard[name]) do
      local at = POSITIONS[resource]
      if at then
        local wanted, used = share[at], found.used[at]
        bounded[#bounded + 1] = { resource }
        if isUnstated(share, at) then unstated[#unstated + 1] = { resource } end
        if wanted > 0 and used + wanted > tonumber(limit) then
          exceeded[#exceeded + 1] = { resource, string.format('%.0f', wanted), string.format('%.0f', used), limit }
        end
      end
    end
    local denied = found.isCounting and denial(name, 'unknown', bounded)
      or denial(name, 'unspecified', unstated)
      or denial(name, 'exceeded', exceeded)
    if denied then return denied end
  end
end

-- Why one more object that is counted by number may not be, or nil. `counted` is how many there are.
local function countDenialOf(found, resource, counted)
  for _, name in ipairs(found.names) do
    local limit = found.hard[name][resource]
    if limit and counted + 1 > tonumber(limit) then
      return denial(name, 'exceeded', { { resource, '1', string.format('%.0f', counted), limit } })
    end
  end
end

-- How many members of a sorted set of names are of a namespace.
local function countNames(namesKey, namespace)
  return redis.call('ZLEXCOUNT', namesKey, '[' .. namespace .. '/', '(' .. namespace .. '0')
end

local function grantText(namespace, share)
  return string.format('%s %.0f %.0f %.0f %.0f', namespace, share[2], share[3], share[4], share[5])
end

-- What is reckoned with from now on: so many pods more.
local function takeShare(found, share, count)
  for i = 1, 5 do found.used[i] = found.used[i] + count * share[i] end
end

-- Writes that so many pods more have it.
local function grant(usedKey, namespace, share, count)
  for i, resource in ipairs({ 'pods', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory' }) do
    local amount = count * share[i]
    if amount > 0 then redis.call('HINCRBY', usedKey, namespace .. ' ' .. resource, string.format('%.0f', amount)) end
  end
end
