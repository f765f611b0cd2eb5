-- KEYS: workers, when they were seen. ARGV: how long a worker is listed in ms.
-- Answers for each: {milliseconds since it was seen, worker}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[1], 'LIMIT', 0, 1000)) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
local seen = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
local answers = {}
for i = 1, #seen, 2 do
  local worker = redis.call('HGET', KEYS[1], seen[i])
  if worker then
    answers[#answers + 1] = {now - seen[i + 1], worker}
  end
end
return answers
