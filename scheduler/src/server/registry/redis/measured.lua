-- Takes measurements into the history of a pool; the same arithmetic as moving_average.rs.
-- KEYS: history. ARGV: weight of a new duration, what is left of a smaller peak, time to be kept in ms, then for each
-- execution: field, duration in ms, peak in bytes.
for i = 4, #ARGV, 3 do
  local duration, memory = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if before then
    local d, m = string.match(before, '^(%d+) (%d+)$')
    duration = d + (duration - d) * ARGV[1]
    memory = math.max(memory, memory + (m - memory) * ARGV[2])
  end
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f %.0f', duration, memory))
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
