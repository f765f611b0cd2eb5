-- Prolongs ownerships and tells what was said to the owner.
-- KEYS: open, then for each build: build, provided. ARGV: owner, ttl in ms, then for each build: id, epoch.
-- Answers for each build: {state, last event, cancelled, {provided}}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers = {}
for i = 1, (#ARGV - 2) / 2 do
  local build, provided = KEYS[2 * i], KEYS[2 * i + 1]
  local id, epoch = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
  local held = redis.call('HMGET', build, 'owner', 'epoch', 'last', 'cancelled', 'finished')
  if not held[1] then
    answers[i] = {'unknown', 0, 0, {}}
  elseif held[1] ~= ARGV[1] or held[2] ~= epoch then
    answers[i] = {'lost', 0, 0, {}}
  else
    if not held[5] then
      redis.call('ZADD', KEYS[1], now + ARGV[2], id)
    end
    local said = redis.call('LRANGE', provided, 0, -1)
    redis.call('DEL', provided)
    answers[i] = {'held', tonumber(held[3]), held[4] and 1 or 0, said}
  end
end
return answers
