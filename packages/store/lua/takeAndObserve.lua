#!lua flags=allow-oom
--[[
  takeAndObserve: takeDue, and in the same step observeJob for one Job if it was taken: a Job that comes when all is
  quiet then waits for one answer, not for two.

  Caller   controller, told that the Job is due

  KEYS[1]  string  <tag>:clock
  KEYS[2]  zset    <tag>:due
  KEYS[3]  hash    <tag>:due:taken    member to <token>:<untilMs>
  KEYS[4]  hash    <tag>:due:counts   member to number of triggers
  KEYS[5]  hash    <tag>:lanes        fitting key to lanes of live workers
  KEYS[6]  hash    <tag>:queues       queue to unfinished Jobs with slots
  KEYS[7]  zset    <tag>:owned        what belongs to which owner
  KEYS[8]  zset    <tag>:capacity     what live workers have for pods that request something
  KEYS[9]  hash    <tag>:job:<uid>
  KEYS[10] string  <tag>:job:<uid>:hot
  KEYS[11] hash    <tag>:job:<uid>:unjudged   pod number to packed record
  KEYS[12] hash    <tag>:job:<uid>:losses     index to losses in a row, f<index> to failures
  KEYS[13] zset    <tag>:job:<uid>:pending    slot, scored by pod number

  ARGV[1]  nowMs    test clock, or ''
  ARGV[2]  max      integer, 1..100
  ARGV[3]  takeMs   how long the taking lasts, ms
  ARGV[4]  token    random, fresh for each call
  ARGV[5]  uid      string
  ARGV[6]  pending  how many Pending slots to name, 0..1000

  Returns  {taken, look}: what takeDue returns; and a look as observeJob has it, nil when the Job was not taken, or is
           no more

  As the two scripts it stands for: O(max log n + 500 + pending). A repeated call takes other members. One hash tag.
]]
-- @include clock
-- @include take
-- @include record
-- @include look
local due = { set = KEYS[2], taken = KEYS[3], counts = KEYS[4] }
local shared = { lanes = KEYS[5], queues = KEYS[6], owned = KEYS[7], capacity = KEYS[8] }
local own = { job = KEYS[9], hot = KEYS[10], unjudged = KEYS[11], losses = KEYS[12], pending = KEYS[13] }
local now = readClock(KEYS[1], ARGV[1])
local taken = takeMembers(due, now, tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4])
local member, look = 'job:' .. ARGV[5], false
for i = 3, #taken, 2 do
  if taken[i] == member then look = lookAt(shared, own, ARGV[5], tonumber(ARGV[6])) end
end
return { taken, look }
