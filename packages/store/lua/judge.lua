#!lua flags=allow-oom
--[[
  judge: count failed pods by the controller's verdicts, give their indexes back and set the gate,
  all in one step for each Job.

  Caller   controller; the Jobs that are judged in one tick go together

  KEYS[1]  string  <tag>:clock
  then for each Job:
  KEYS[+1] string  <tag>:job:<uid>:hot
  KEYS[+2] hash    <tag>:job:<uid>:unjudged
  KEYS[+3] zset    <tag>:job:<uid>:retry
  and when its rules have bit 2:
  KEYS[+4] hash    <tag>:job:<uid>:losses
  KEYS[+5] string  <tag>:job:<uid>:failed   bitmap

  ARGV[1]  nowMs            test clock, or ''
  then for each Job:
  ARGV[+1] generation       that the decision was made from
  ARGV[+2] decisionVersion  that the decision was made from
  ARGV[+3] limit            gate
  ARGV[+4] notBeforeMs      gate
  ARGV[+5] deadlineMs       gate
  ARGV[+6] rules            gate, bits: see hot.lua
  ARGV[+7] failuresInRow    back-off
  ARGV[+8] lastFailureMs    back-off
  ARGV[+9] number of pods, then for each podNumber, verdict (failed, ignored, indexFailed), countsToLimit (0 or 1),
           retryAtMs (0 = at once), failures of its index (packed, or '')

  Returns a list, for each Job in order its decisionVersion after this write, an integer > 0, or
           -1  MOVED  generation or decisionVersion changed: look again
           -2  GONE   no such Job

  A second run answers MOVED. O(pods), at most 500 of all Jobs, and 500 indexes whose back-off is over. One hash tag.
]]
-- @include clock
-- @include hot
-- @include verdicts
local replies = {}
local keyBase, argument = 1, 2
while argument <= #ARGV do
  local hotKey, perIndex = KEYS[keyBase + 1], nil
  if math.floor(ARGV[argument + 5] / PER_INDEX) % 2 == 1 then
    perIndex = { losses = KEYS[keyBase + 4], failed = KEYS[keyBase + 5], now = readClock(KEYS[1], ARGV[1]) }
  end
  local hot = readHot(hotKey)
  if not hot then
    replies[#replies + 1] = -2
  elseif hot.generation ~= tonumber(ARGV[argument]) or hot.decisionVersion ~= tonumber(ARGV[argument + 1]) then
    replies[#replies + 1] = -1
  else
    applyVerdicts(argument + 2, hot, KEYS[keyBase + 2], KEYS[keyBase + 3], perIndex)
    writeHot(hotKey, hot)
    replies[#replies + 1] = hot.decisionVersion
  end
  keyBase, argument = keyBase + (perIndex and 5 or 3), argument + 9 + 5 * ARGV[argument + 8]
end
return replies
