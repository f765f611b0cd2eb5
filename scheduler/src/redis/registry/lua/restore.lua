-- Makes a build known again after its data was lost, with an empty log, unless another replica owns it.
-- KEYS: build, events, open, builds. ARGV: id, owner, epoch, record, ttl in ms, time of submission,
-- last event that was there.
local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'last')
if held[1] and (held[1] ~= ARGV[2] or held[2] ~= ARGV[3]) then
  return 0
end
-- Nothing is lost: an earlier try of a call comes late.
if held[1] and tonumber(held[3]) >= tonumber(ARGV[7]) then
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[1], 'finished')
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'epoch', ARGV[3], 'last', 0, 'record', ARGV[4])
redis.call('ZADD', KEYS[3], now + ARGV[5], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[6], ARGV[1])
return 1
