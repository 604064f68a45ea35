#!lua flags=allow-oom
--[[
  stopAdopted: take adopted pods out of the active ones of their Job, as stopPods does with its own. That they are told
  so, where they lie, comes after it, and again until they are: tendAdopted says of which that is to be done yet.

  Caller   controller (scale-down, suspend, failure, deletion)

  KEYS[1]  string  <tag>:job:<uid>:hot
  KEYS[2]  zset    <tag>:job:<uid>:retry
  KEYS[3]  hash    <tag>:job:<uid>:adopted

  ARGV[1]  generation       that the decision was made from
  ARGV[2]  decisionVersion  that the decision was made from
  ARGV[3]  countAs          uncounted, failed or cut; as in stopPods
  ARGV[4+] numbers of adoptions, at most 100

  Returns  {decisionVersion, stopped} or
           {-1, 0}  MOVED
           {-2, 0}  GONE

  One that is not active is passed over, but for a returning one whose index leaves the Job; so a second run stops
  nothing more. O(numbers). One hash tag.
]]
-- @include hot
-- @include adopted
local countAs = ARGV[3]
local hot = readHot(KEYS[1])
if not hot then return { -2, 0 } end
if hot.generation ~= tonumber(ARGV[1]) or hot.decisionVersion ~= tonumber(ARGV[2]) then return { -1, 0 } end

local stopped = 0
for i = 4, #ARGV do
  local one = readAdopted(KEYS[3], ARGV[i])
  local isActive = one and (one.state == 'pending' or one.state == 'running')
  if isActive or one and one.state == 'returning' and countAs == 'cut' then
    if isActive then
      hot.active = hot.active - 1
      if one.state == 'running' then hot.running = hot.running - 1 end
      hot.terminating = hot.terminating + 1
    end
    local isReturning = countAs == 'uncounted' and bit.band(hot.rules, REPLACE_ENDED) ~= 0
    if countAs == 'failed' then
      hot.failed = hot.failed + 1
    elseif not isReturning then
      giveBackIndex(hot, KEYS[2], one.index)
    end
    one.state = isReturning and 'returning' or 'stopping'
    writeAdopted(KEYS[3], ARGV[i], one)
    stopped = stopped + 1
  end
end
if stopped > 0 then
  hot.decisionVersion = hot.decisionVersion + 1
  writeHot(KEYS[1], hot)
end
return { hot.decisionVersion, stopped }
