-- Lets go of the events of a build that is over.
-- KEYS: build, events. ARGV: the record that says where they are.
if redis.call('HGET', KEYS[1], 'finished') == '1' then
  redis.call('HSET', KEYS[1], 'record', ARGV[1])
  redis.call('UNLINK', KEYS[2])
end
