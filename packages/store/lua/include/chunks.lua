-- Of a report: writes records of pods that follow on each other to their chunk. The keys after `chunkKey` are the chunks
-- whose numbers are the arguments after `chunkArgument`. Answers how many were kept: after a failover the pod is not the
-- one that the caller named, and its record is then not.
local function keepRecords(chunkKey, chunkArgument, chunkCount, firstPod, records)
  local chunk = tostring(math.floor(firstPod / PODS_PER_CHUNK))
  for i = 1, chunkCount do
    if ARGV[chunkArgument + i] == chunk then
      writeRecords(KEYS[chunkKey + i], firstPod, table.concat(records))
      return #records
    end
  end
  return 0
end
