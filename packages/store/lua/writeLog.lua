#!lua
--[[
  writeLog: add entries to the log of a pod.

  Caller   worker (PodLogWriter), the only writer of this log; at most every 100 ms and once at the pod's end

  KEYS[1]  stream  {P:log:<uid>:<pod>}

  ARGV[1]  isFirst  1 = the writer's first entries, so whatever the stream holds goes; 0 = not
  ARGV[2]  minId    entries before this one go; '' = none
  ARGV[3]  count    number of further entries that go
  ARGV[+]  the id of each of these
  then for each new entry, oldest first:
  ARGV[+1] id       made by the writer; they only grow
  ARGV[+2] container
  ARGV[+3] kind     one of LogKind in podLog.ts, which has the fields of an entry, too
  ARGV[+4] run      of the container in its pod, 0 = the first
  ARGV[+5] timeMs   when its first byte was read
  ARGV[+6] data     bytes

  Returns   1  WRITTEN
           -1  DELETED  with its pod; nothing is brought back to life

  May be sent again: what is there already is passed over. Not let in when memory is full: the writer tries again.
  One script, since a short pod waits for this before its end is told, and each command would have its own cost on
  the way. O(entries), at most the tail that is kept of each container. One key.
]]
local key = KEYS[1]
if ARGV[1] == '1' then redis.call('DEL', key)
elseif redis.call('EXISTS', key) == 0 then return -1 end

local removed = tonumber(ARGV[3])
for at = 4 + removed, #ARGV, 6 do
  local id, container, kind, run, timeMs, data = unpack(ARGV, at, at + 5)
  local added
  if run == '0' then added = redis.pcall('XADD', key, id, 'c', container, 's', kind, 't', timeMs, 'd', data)
  else added = redis.pcall('XADD', key, id, 'c', container, 's', kind, 't', timeMs, 'd', data, 'r', run) end
  -- Written already, by the call whose answer was lost.
  if type(added) == 'table' and not string.find(added.err, 'equal or smaller', 1, true) then return added end
end
if ARGV[2] ~= '' then redis.call('XTRIM', key, 'MINID', '=', ARGV[2]) end
-- Lua passes no more than some thousands at once.
for from = 4, 3 + removed, 1000 do
  redis.call('XDEL', key, unpack(ARGV, from, math.min(from + 999, 3 + removed)))
end
return 1
