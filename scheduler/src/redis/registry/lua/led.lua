-- Notes that a duty is done and gives it up, for the one that has it.
-- KEYS: duty. ARGV: owner, epoch, when it was done, milliseconds since the epoch.
local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] == ARGV[1] and held[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'owner', '', 'until', 0, 'done', ARGV[3])
  return 1
end
return 0
