-- No more items can come, and all are settled.
local function isAllDone(sealedMs, enqueued, settled, open)
  return sealedMs ~= '0' and tonumber(enqueued) == tonumber(settled) and open == '0'
end

-- Tells whoever waits for a work queue when it is all done.
local function tellAllDone(queueKey, wakeChannel, uid)
  local queue = redis.call('HMGET', queueKey, 'sealedMs', 'enqueued', 'settled', 'open')
  if isAllDone(queue[1], queue[2], queue[3], queue[4]) then redis.call('PUBLISH', wakeChannel, uid) end
end
