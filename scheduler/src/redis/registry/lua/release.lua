-- Gives builds up.
-- KEYS: open, then each build. ARGV: owner, then for each build: id, epoch.
for i = 1, #KEYS - 1 do
  local id, epoch = ARGV[2 * i], ARGV[1 + 2 * i]
  local held = redis.call('HMGET', KEYS[i + 1], 'owner', 'epoch', 'finished')
  if held[1] == ARGV[1] and held[2] == epoch and not held[3] then
    redis.call('HSET', KEYS[i + 1], 'owner', '')
    redis.call('ZADD', KEYS[1], 0, id)
  end
end
return 0
