-- Takes builds whose ownership has run out, and forgets ids of builds that are gone.
-- Of the builds that are over only the latest stay, so many.
-- KEYS: open, builds, over. ARGV: prefix of builds' keys (of the same slot), owner, ttl in ms, limit, forgotten before, how many
-- stay, prefix of events' keys.
-- Answers: id, epoch, id, epoch...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[4])) do
  local build = ARGV[1] .. id
  if redis.call('EXISTS', build) == 0 then
    redis.call('ZREM', KEYS[1], id)
  else
    taken[#taken + 1] = id
    taken[#taken + 1] = tostring(redis.call('HINCRBY', build, 'epoch', 1))
    redis.call('HSET', build, 'owner', ARGV[2])
    redis.call('ZADD', KEYS[1], now + ARGV[3], id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[5], 'LIMIT', 0, ARGV[4])) do
  if redis.call('EXISTS', ARGV[1] .. id) == 0 then
    redis.call('ZREM', KEYS[2], id)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[5])
local surplus = math.min(redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[6]), tonumber(ARGV[4]))
if surplus > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, surplus - 1)) do
    redis.call('ZREM', KEYS[3], id)
    -- One that was lost since and told again may be open.
    if redis.call('HEXISTS', ARGV[1] .. id, 'finished') == 1 then
      redis.call('UNLINK', ARGV[1] .. id, ARGV[7] .. id)
      redis.call('ZREM', KEYS[2], id)
    end
  end
end
return taken
