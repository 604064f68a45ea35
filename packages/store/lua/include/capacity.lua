-- Adds what a session has to what is there for pods, or takes it away: its lanes for each fitting key, and with them what
-- it has for pods that request something, see lanes. `fields` are those of the session.
local function changeLanes(lanesKey, capacityKey, session, fields, isAdded)
  local cpu, memory = '0', '0'
  for i = 1, #fields, 2 do
    if fields[i] == 'cpu' then cpu = fields[i + 1] end
    if fields[i] == 'memory' then memory = fields[i + 1] end
  end
  for i = 1, #fields, 2 do
    local fittingKey, lanes = string.match(fields[i], '^lanes:(.*)$'), tonumber(fields[i + 1])
    if fittingKey then
      local member = fittingKey .. ' ' .. cpu .. ',' .. memory .. ',' .. fields[i + 1] .. ',' .. session
      if redis.call('HINCRBY', lanesKey, fittingKey, isAdded and lanes or -lanes) <= 0 then
        redis.call('HDEL', lanesKey, fittingKey)
      end
      if isAdded then
        redis.call('ZADD', capacityKey, 0, member)
      else
        redis.call('ZREM', capacityKey, member)
      end
    end
  end
end
