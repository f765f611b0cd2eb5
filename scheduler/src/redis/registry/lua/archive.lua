-- Lets go of the events of a build that is over, for its last owner.
-- KEYS: build, events. ARGV: owner, epoch, the record that says where they are.
local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'finished')
if held[1] == ARGV[1] and held[2] == ARGV[2] and held[3] == '1' then
  redis.call('HSET', KEYS[1], 'record', ARGV[3])
  redis.call('UNLINK', KEYS[2])
end
