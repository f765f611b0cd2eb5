-- Makes a build known, unless it is.
-- KEYS: build, events, provided, open, builds. ARGV: id, owner, record, ttl in ms, time of submission.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'epoch', 1, 'last', 0, 'record', ARGV[3])
redis.call('ZADD', KEYS[4], now + ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[5], ARGV[1])
return 1
