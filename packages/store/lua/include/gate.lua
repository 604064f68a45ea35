-- The numbers of a Job that claims and reports work on: one packed string, read once and written
-- once per script. packages/store/src/hot.ts is the other side.
local HOT = '>ddddddddddddddddddddddddddd'
-- Bits of `rules`: 1 no start while a failed pod waits for its verdict, 2 failures are counted for each index, 4 a pod
-- that was told to stop is replaced only when it has ended, 8 each success has to be looked at.
local PER_INDEX, REPLACE_ENDED, EACH_SUCCESS = 2, 4, 8

-- Active pods that the Job may have at most: what is left to do, and no more than its gate allows.
local function capOf(limit, completions, succeeded)
  if completions < 0 then return succeeded > 0 and 0 or limit end
  return math.min(limit, completions - succeeded)
end

local function isGateOpen(limit, rules, unjudged, notBeforeMs, deadlineMs, nowMs)
  return limit > 0
    and not (unjudged > 0 and rules % 2 == 1)
    and nowMs >= notBeforeMs
    and (deadlineMs == 0 or nowMs < deadlineMs)
end
