-- Pods that a Job has adopted lie where they were: with their host, the Job that started them, or what a pod without a
-- Job is stored as. `adopted` of the adopter has by number of the adoption `<host> <pod> <slot> <index> <state>`, and
-- `adopters` of the host by pod `<adopter> <number> <resourceVersion> <1 = not counted yet> <name of the adopter>`;
-- after a release the adopter is `-`. packages/store/src/adoption.ts is the other side.
-- Active ones are pending or running; stopping and returning ones were told to stop, and the last give their index back
-- when they have ended. Of ended ones nothing is to come.

local function readAdopted(adoptedKey, number)
  local text = redis.call('HGET', adoptedKey, number)
  if not text then return nil end
  local host, pod, slot, index, state = string.match(text, '^(%S+) (%d+) (%d+) (%d+) (%a+)$')
  return { host = host, pod = tonumber(pod), slot = slot, index = tonumber(index), state = state }
end

local function writeAdopted(adoptedKey, number, one)
  local text = string.format('%s %.0f %s %.0f %s', one.host, one.pod, one.slot, one.index, one.state)
  redis.call('HSET', adoptedKey, number, text)
end

local function writeAdopter(adoptersKey, pod, uid, number, rv, isLive, name)
  redis.call('HSET', adoptersKey, pod, string.format('%s %s %.0f %d %s', uid, number, rv, isLive and 1 or 0, name))
end
