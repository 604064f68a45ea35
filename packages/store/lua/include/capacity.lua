-- What a session has for pods that request something, see lanes.
local function capacityMember(fittingKey, cpu, memory, lanes, session)
  return fittingKey .. ' ' .. cpu .. ',' .. memory .. ',' .. lanes .. ',' .. session
end
