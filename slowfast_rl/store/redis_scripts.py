"""What a Redis server does in one step, in its own Lua."""

# Writes a batch of sticky rows, each only if it is stamped later than the one stored, and returns
# how many were refused. A row begins with its stamp and the stamp's complement, each as two
# little-endian halves; what does not is damaged, and gives way. All in one step: first writes are
# never lost. It is not sent again by itself when its answer is lost: that would look refused.
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

# Writes over damaged rows, each only if it is still the row that was read; returns how many.
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
