-- Says something to the owner of a build, whoever it is.
-- KEYS: build, provided. ARGV: channel, 'cancel' or 'provide', message.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
if redis.call('HEXISTS', KEYS[1], 'finished') == 0 then
  if ARGV[2] == 'cancel' then
    redis.call('HSET', KEYS[1], 'cancelled', 1)
  else
    redis.call('RPUSH', KEYS[2], ARGV[3])
  end
  redis.call('PUBLISH', ARGV[1], 'control')
end
return 1
