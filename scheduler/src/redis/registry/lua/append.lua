-- Adds events to a build, for its owner.
-- KEYS: build, events, open, provided, over. ARGV: id, owner, epoch, last event that is there, record, 1 if it is over,
-- time to be remembered in ms, channel, number of dropped events, those, then for each event: cursor, bytes.
local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'last', 'finished', 'writer')
if not held[1] then
  return 'behind'
end
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then
  return 'lost'
end
local last = tonumber(held[3])
if last < tonumber(ARGV[4]) then
  return 'behind'
end
-- It does not know what another owner has told. Who wrote is not known of what an earlier release has written.
if last > tonumber(ARGV[4]) and held[5] and held[5] ~= ARGV[2] then
  return 'lost'
end
local up_to = tonumber(ARGV[4])
local dropped = tonumber(ARGV[9])
for i = 10, 9 + dropped do
  redis.call('XDEL', KEYS[2], ARGV[i] .. '-0')
end
for i = 10 + dropped, #ARGV, 2 do
  -- What an earlier try of this call has added is there already.
  local cursor = tonumber(ARGV[i])
  up_to = cursor
  if cursor > last then
    redis.call('XADD', KEYS[2], ARGV[i] .. '-0', 'e', ARGV[i + 1])
    last = cursor
    redis.call('HSET', KEYS[1], 'writer', ARGV[2])
  end
end
redis.call('HSET', KEYS[1], 'last', last)
-- An earlier try of a call may come later than what followed it; then its record is an old one. What is over stays so, unless it
-- is restored.
if up_to < last or (held[4] and ARGV[6] ~= '1') then
  return 'done'
end
redis.call('HSET', KEYS[1], 'record', ARGV[5])
if ARGV[6] == '1' then
  redis.call('HSET', KEYS[1], 'finished', 1)
  redis.call('ZREM', KEYS[3], ARGV[1])
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[5], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
  redis.call('DEL', KEYS[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
redis.call('PUBLISH', ARGV[8], ARGV[1])
return 'done'
