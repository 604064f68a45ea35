#!lua flags=allow-oom
--[[
  keepForFailures: note that of a finished Job only failed pods are left: it is the last whose pods are removed to make
  room.

  Caller   controller

  KEYS[1]  zset  <tag>:kept         finished Jobs with pods that are kept
  KEYS[2]  zset  <tag>:kept:failed  those of which only failed ones are left

  ARGV[1]  uid         string
  ARGV[2]  finishedMs  when it finished

  Returns  1

  Runs when memory is full: it is a step of making room. O(log n). Safe to retry. One hash tag.
]]
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
