"""Lua scripts that a Redis server executes atomically."""

# Writes a batch of sticky rows, each only if its stamp is later than the stored row's, and returns
# the number of refused rows. A row begins with its stamp and the stamp's complement, each as two
# little-endian halves; a stored row that does not is damaged and is replaced. As the script is
# atomic, concurrent writers do not lose a first write. The client must not retry it after a lost
# response: rows that the first attempt wrote would then count as refused.
WRITE_STICKY = """
local refused = 0
for i, key in ipairs(KEYS) do
  local new, old = ARGV[i], redis.call('GET', key)
  local write = true
  if old and #old >= 16 then
    local low, high, not_low, not_high = struct.unpack('<I4I4I4I4', old)
    if low + not_low == 4294967295 and high + not_high == 4294967295 then
      local new_low, new_high = struct.unpack('<I4I4', new)
      write = new_high > high or (new_high == high and new_low > low)
    end
  end
  if write then
    redis.call('SET', key, new)
  else
    refused = refused + 1
  end
end
return refused
"""

# Overwrites damaged rows, each only if it still is the row that was read; returns their number.
WRITE_OVER = """
local written = 0
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[2 * i - 1] then
    redis.call('SET', key, ARGV[2 * i])
    written = written + 1
  end
end
return written
"""
