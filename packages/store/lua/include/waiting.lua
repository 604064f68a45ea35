-- Lanes came: Jobs that wait for some become due. At most 500; the rest is found by the resync.
local function wakeWaiting(due, waitingKey, now)
  local waiting = redis.call('SPOP', waitingKey, 500)
  if #waiting == 0 then return end
  local members = {}
  for i, uid in ipairs(waiting) do
    members[i] = 'job:' .. uid
  end
  triggerAll(due, members, now)
end
