-- A work queue is all done when no more items can come and all are settled: tells whoever waits for it.
local function tellAllDone(queueKey, wakeChannel, uid)
  local queue = redis.call('HMGET', queueKey, 'sealedMs', 'enqueued', 'settled', 'open')
  if queue[1] ~= '0' and queue[2] == queue[3] and queue[4] == '0' then redis.call('PUBLISH', wakeChannel, uid) end
end
