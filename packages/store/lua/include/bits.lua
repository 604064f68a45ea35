-- Bits of a bitmap, read and written in words: those of neighbours, which is what there mostly is, cost one operation.
local WORD = 32

-- Reads the words that have the bits of some ids.
local function readBits(key, ids)
  local bits, operations = { numbers = {}, words = {}, isChanged = {} }, {}
  local words, numbers = bits.words, bits.numbers
  for _, id in ipairs(ids) do
    local number = (id - id % WORD) / WORD
    if not words[number] then
      words[number] = 0
      numbers[#numbers + 1] = number
      operations[#operations + 1] = 'GET'
      operations[#operations + 1] = 'u32'
      operations[#operations + 1] = number * WORD
    end
  end
  for i, word in ipairs(redis.call('BITFIELD', key, unpack(operations))) do words[numbers[i]] = word end
  return bits
end

-- Sets a bit in what was read; whether it was not set.
local function setBit(bits, id)
  local number = (id - id % WORD) / WORD
  local word, value = bits.words[number], 2 ^ (WORD - 1 - id % WORD)
  if word % (2 * value) >= value then return false end
  bits.words[number] = word + value
  bits.isChanged[number] = true
  return true
end

-- Writes the words that were changed.
local function writeBits(key, bits)
  local operations = {}
  for _, number in ipairs(bits.numbers) do
    if bits.isChanged[number] then
      operations[#operations + 1] = 'SET'
      operations[#operations + 1] = 'u32'
      operations[#operations + 1] = number * WORD
      operations[#operations + 1] = bits.words[number]
    end
  end
  redis.call('BITFIELD', key, unpack(operations))
end
