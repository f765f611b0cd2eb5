-- Takes measurements into the history of a pool; the same arithmetic as `MovingAverage` in proto/src/estimate.rs.
-- KEYS: history. ARGV: weight of a new duration, what is left of a smaller peak, time to be kept in ms, how many are
-- kept, then for each execution: field, duration in ms, peak in bytes.
for i = 5, #ARGV, 3 do
  local duration, memory = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if before then
    local d, m = string.match(before, '^(%d+) (%d+)$')
    duration = d + (duration - d) * ARGV[1]
    memory = math.max(memory, memory + (m - memory) * ARGV[2])
  end
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f %.0f', duration, memory))
end
-- Which ones go is chance: an estimate is of use, and nothing rests on it.
local surplus = math.min(redis.call('HLEN', KEYS[1]) - tonumber(ARGV[4]), 1000)
if surplus > 0 then
  redis.call('HDEL', KEYS[1], unpack(redis.call('HRANDFIELD', KEYS[1], surplus)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
