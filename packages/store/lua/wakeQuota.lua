#!lua flags=allow-oom
--[[
  wakeQuota: make Jobs of a namespace due that wait for quota and that there is some for, those first that have waited
  longest: as many as one pod of each fits in, so that a pod that ends wakes one Job and not all.

  Caller   controller, when quota was given back, raised or removed, and when all slots are counted

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken
  KEYS[4]  hash    <tag>:due:counts
  KEYS[5]  hash    <tag>:quota:hard
  KEYS[6]  hash    <tag>:quota:used
  KEYS[7]  zset    <tag>:quota:waiting   members <namespace> <ms, 15 digits> <uid> <share>

  ARGV[1]  nowMs        test clock, or ''
  ARGV[2]  wakeChannel  string
  ARGV[3]  namespace    string
  ARGV[4]  counted      what UNCOUNTED said before all slots were counted, or ''
  ARGV[5]  after        next of a former run: go on behind it; '' = from the beginning

  Returns  { 1, nowMs, woken, left, next}  WOKEN      left: how many of those that were looked at go on waiting;
                                                      next: more are behind this one, '' = none
           {-1, counting}                  UNCOUNTED  open slots have to be counted first: with countQuota, then again

  A Job that is woken waits no more; it comes to the end of the line when it is denied again. Looks at 200 at most.
  O(those). Safe to retry. One hash tag.
]]
-- @include clock
-- @include due
-- @include triggerAll
-- @include quota
local MOST = 200
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4], wake = ARGV[2] }
local namespace = ARGV[3]
local counting = redis.call('HGET', KEYS[6], namespace .. ' counting')
if counting and counting ~= ARGV[4] then return { -1, counting } end
if counting then redis.call('HDEL', KEYS[6], namespace .. ' counting') end

local now = readClock(KEYS[1], ARGV[1])
local found = quotasOf({ hard = KEYS[5], used = KEYS[6] }, namespace)
local from = ARGV[5] == '' and '[' .. namespace .. ' ' or '(' .. ARGV[5]
local waiting = redis.call('ZRANGEBYLEX', KEYS[7], from, '(' .. namespace .. '!', 'LIMIT', 0, MOST)
local woken, members = {}, {}
for _, member in ipairs(waiting) do
  local uid, text = string.match(member, '^%S+ %d+ (%S+) (.*)$')
  local share = shareOf(text)
  if not found or roomFor(found, share, 1) > 0 then
    if found then takeShare(found, share, 1) end
    woken[#woken + 1] = member
    members[#members + 1] = 'job:' .. uid
  end
end
if #woken > 0 then
  redis.call('ZREM', KEYS[7], unpack(woken))
  triggerAll(due, members, now)
end
return { 1, string.format('%.0f', now), #woken, #waiting - #woken, #waiting == MOST and waiting[MOST] or '' }
