-- Packed forms; packages/store/src/records.ts is the other side.
-- slot: podNumber index previousPod phase restarts attemptsStarted node session createdMs startMs rv asked
-- asked is the newest delivery that asked for the slot, whatever it was answered: none up to it may have it again.
-- After these how often pods of the index failed before, counted and ignored, I4 each; with backoffLimitPerIndex.
-- Padded above 64 bytes, so that Redis keeps the slots in a hash table, where access is O(1), not in a listpack.
local SLOT = '>I4I4I4BI2I4I2c8I6I6I7I4xxxxxxxxxxxxxxxx'
-- What was granted of quota may follow, as text: see grants.lua.
local SLOT_BYTES = 68
-- The same without what follows, which stays with the pod.
local SLOT_HEAD, FAILURES_AT, FAILURES_END = '>I4I4I4BI2I4I2c8I6I6I7I4', 53, 60
local NO_FAILURES = '\0\0\0\0\0\0\0\0'
-- pod: index node startMs durationMs exitCode flags reason rv
local POD = '>I4I2I6I5BBBI7'
local ASKED_OFFSET = 48
-- Phases. All but the first two were told to stop: the end of a STOPPING pod changes nothing, that of a RETURNING one
-- gives its index back, and that of a LEAVING one counts for what it is. The last two are of pods that their Job has
-- released: no figure of the Job knows of them. FREE_STOPPING was told to stop.
local PENDING, RUNNING, STOPPING, RETURNING, LEAVING, FREE, FREE_STOPPING = 0, 1, 2, 3, 4, 5, 6
local FLAG_FAILED, FLAG_LOG, FLAG_OVERLAY, FLAG_PRESENT = 1, 2, 4, 8
local POD_BYTES, PODS_PER_CHUNK = 27, 1024
local REASON_NODE_LOST, REASON_DRAINED, REASON_DELETED, REASON_ROLLED_BACK = 4, 5, 6, 7
local NO_SESSION = '\0\0\0\0\0\0\0\0'

local function podRecord(index, node, startMs, endMs, exitCode, flags, reason, rv)
  -- A pod that never started has the time of its end for both.
  local start = startMs > 0 and startMs or endMs
  return struct.pack(POD, index, node, start, math.max(0, endMs - start), exitCode, FLAG_PRESENT + flags, reason, rv)
end

-- Writes records of consecutive pods, all in one chunk. A later chunk is made at its full size: growing
-- it would leave Redis with twice the memory; a Job with few pods has only the first.
local function writeRecords(chunkKey, firstPod, packed)
  local offset = string.format('%d', firstPod % PODS_PER_CHUNK * POD_BYTES)
  if firstPod >= PODS_PER_CHUNK and redis.call('EXISTS', chunkKey) == 0 then
    redis.call('SETRANGE', chunkKey, PODS_PER_CHUNK * POD_BYTES - 1, '\0')
  end
  redis.call('SETRANGE', chunkKey, offset, packed)
end
