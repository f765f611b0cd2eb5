-- Gives or prolongs a duty that one replica has at a time, and says when it was last done.
-- KEYS: duty (hash: owner, epoch, until, done). ARGV: owner, ttl in ms. Answers: epoch, or 0 if another has it; done.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'until', 'done')
local done = tonumber(held[4] or '0')
local epoch = tonumber(held[2] or '0')
if held[1] ~= ARGV[1] then
  if held[3] and tonumber(held[3]) > now then
    return {0, done}
  end
  epoch = epoch + 1
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', epoch, 'until', now + ARGV[2])
return {epoch, done}
