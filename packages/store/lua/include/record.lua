-- Packed forms; packages/store/src/records.ts is the other side.
-- slot: podNumber index previousPod phase restarts attemptsStarted node session createdMs startMs rv
local SLOT = '>I4I4I4BI2I4I2c8I6I6I7'
-- pod: index node startMs durationMs exitCode flags reason rv
local POD = '>I4I2I6I5BBBI7'
local PENDING, RUNNING, STOPPING = 0, 1, 2
local FLAG_FAILED, FLAG_LOG, FLAG_OVERLAY = 1, 2, 4
local REASON = { NodeLost = 4, Drained = 5, Deleted = 6, RolledBack = 7 }
local NO_SESSION = '\0\0\0\0\0\0\0\0'
-- Above 64 bytes Redis keeps the slots in a hash table, where access is O(1), and not in a listpack.
local SLOT_PADDING = string.rep('\0', 20)

local function slotRecord(...)
  return struct.pack(SLOT, ...) .. SLOT_PADDING
end

local function podRecord(index, node, startMs, endMs, exitCode, flags, reason, rv)
  -- A pod that never started has the time of its end for both.
  local start = startMs > 0 and startMs or endMs
  return struct.pack(POD, index, node, start, math.max(0, endMs - start), exitCode, flags, reason, rv)
end
