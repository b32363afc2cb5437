"""Lua scripts that a Redis server executes atomically."""

# Writes a batch of sticky rows, each only if its stamp is later than the stored row's or the latter
# is beyond the horizon, and returns the number of refused rows. The arguments are the rows, then
# the horizon of each. A row begins with its stamp and the stamp's complement, each as two
# little-endian halves, as a horizon is; a stored row that does not is damaged and is replaced, and
# so is a value of another type, for which GET would end the script without pcall. As the script is
# atomic, concurrent writers do not lose a first write. The client must not retry it after a lost
# response: rows that the first attempt wrote would then count as refused.
WRITE_STICKY = """
local refused = 0
for i, key in ipairs(KEYS) do
  local new, old = ARGV[i], redis.pcall('GET', key)
  local write = true
  if type(old) == 'string' and #old >= 16 then
    local low, high, not_low, not_high = struct.unpack('<I4I4I4I4', old)
    if low + not_low == 4294967295 and high + not_high == 4294967295 then
      local new_low, new_high = struct.unpack('<I4I4', new)
      local end_low, end_high = struct.unpack('<I4I4', ARGV[#KEYS + i])
      write = new_high > high or (new_high == high and new_low > low)
        or high > end_high or (high == end_high and low > end_low)
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
  if redis.pcall('GET', key) == ARGV[2 * i - 1] then
    redis.call('SET', key, ARGV[2 * i])
    written = written + 1
  end
end
return written
"""
