#!lua flags=allow-oom
--[[
  releaseAdopted: a Job lets pods go that it has adopted from one host: what runs is nobody's again, and what was counted
  stays counted.

  Caller   controller (labels that are not selected any more, deletion of the Job)

  KEYS[1]   string  <tag>:clock
  KEYS[2]   zset    <tag>:due
  KEYS[3]   hash    <tag>:due:taken
  KEYS[4]   hash    <tag>:due:counts
  KEYS[5]   string  <tag>:job:<uid>:hot       of the Job
  KEYS[6]   zset    <tag>:job:<uid>:retry
  KEYS[7]   hash    <tag>:job:<uid>:adopted
  KEYS[8]   hash    <tag>:job:<uid>:adopters  of the host
  KEYS[9]   stream  <tag>:watch
  KEYS[10]  string  <tag>:watchers:pods

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  uid          of the Job
  ARGV[4]  hostUid      string
  ARGV[5+] numbers of adoptions, at most 100

  Returns   number of pods that were let go

  O(numbers). A second run lets nothing more go. One hash tag.
]]
-- @include clock
-- @include due
-- @include hot
-- @include watch
-- @include adopted
local uid, hostUid = ARGV[3], ARGV[4]
local hot = readHot(KEYS[5])
local released = 0
local rv, fromPod, toPod
for i = 5, #ARGV do
  local number = ARGV[i]
  local one = readAdopted(KEYS[7], number)
  if one and one.host == hostUid then
    rv = rv or nextResourceVersion(KEYS[1], (readClock(KEYS[1], ARGV[1])))
    if hot and (one.state == 'pending' or one.state == 'running') then
      hot.active = hot.active - 1
      if one.state == 'running' then hot.running = hot.running - 1 end
      giveBackIndex(hot, KEYS[6], one.index)
    elseif hot and one.state ~= 'ended' then
      hot.terminating = hot.terminating - 1
      if one.state == 'returning' then giveBackIndex(hot, KEYS[6], one.index) end
    end
    redis.call('HDEL', KEYS[7], number)
    local adopter = redis.call('HGET', KEYS[8], one.pod)
    if adopter and string.match(adopter, '^%S+ %d+') == uid .. ' ' .. number then
      writeAdopter(KEYS[8], one.pod, '-', 0, rv, false, '-')
    end
    released = released + 1
    fromPod, toPod = math.min(fromPod or one.pod, one.pod), math.max(toPod or one.pod, one.pod)
  end
end
if released == 0 then return 0 end
if hot then
  hot.decisionVersion = hot.decisionVersion + 1
  writeHot(KEYS[5], hot)
  local now = readClock(KEYS[1], ARGV[1])
  trigger({ set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }, 'job:' .. uid, now, now)
end
tellPods(KEYS[9], KEYS[10], rv, hostUid, fromPod, toPod)
return released
