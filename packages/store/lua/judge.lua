#!lua flags=allow-oom
--[[
  judge: count failed pods by the controller's verdicts, give their indexes back and set the gate,
  all in one step.

  Caller   controller

  KEYS[1]  string  <tag>:job:<uid>:hot
  KEYS[2]  hash  <tag>:job:<uid>:unjudged
  KEYS[3]  zset  <tag>:job:<uid>:retry

  ARGV[1]   generation       that the decision was made from
  ARGV[2]   decisionVersion  that the decision was made from
  ARGV[3]   limit            gate
  ARGV[4]   notBeforeMs      gate
  ARGV[5]   deadlineMs       gate
  ARGV[6]   hold             gate, 0 or 1
  ARGV[7]   failuresInRow    back-off
  ARGV[8]   lastFailureMs    back-off
  ARGV[9+]  podNumber, verdict (failed, ignored, indexFailed), countsToLimit (0 or 1) for each pod, at most 500

  Returns   decisionVersion after this write, an integer > 0
           -1  MOVED  generation or decisionVersion changed: look again
           -2  GONE   no such Job

  A second run answers MOVED. O(pods). One hash tag.
]]
-- @include hot
local hot = readHot(KEYS[1])
if not hot then return -2 end
if hot.generation ~= tonumber(ARGV[1]) or hot.decisionVersion ~= tonumber(ARGV[2]) then
  return -1
end

for i = 9, #ARGV, 3 do
  local record = redis.call('HGET', KEYS[2], ARGV[i])
  if record then
    local verdict = ARGV[i + 1]
    redis.call('HDEL', KEYS[2], ARGV[i])
    hot.unjudged = hot.unjudged - 1
    if verdict ~= 'ignored' then hot.failed = hot.failed + 1 end
    if ARGV[i + 2] == '1' then hot.limitFailures = hot.limitFailures + 1 end
    if verdict ~= 'indexFailed' then
      giveBackIndex(hot, KEYS[3], (struct.unpack('>I4', record)))
    end
  end
end
hot.limit, hot.notBeforeMs = tonumber(ARGV[3]), tonumber(ARGV[4])
hot.deadlineMs, hot.hold = tonumber(ARGV[5]), tonumber(ARGV[6])
hot.decisionVersion = hot.decisionVersion + 1
hot.failuresInRow, hot.lastFailureMs = tonumber(ARGV[7]), tonumber(ARGV[8])
writeHot(KEYS[1], hot)
return hot.decisionVersion
