-- A pool that nobody uses.

-- Whether nothing is in the pool and nobody waits for news of it.
local function is_empty()
  if call('EXISTS', TASKS, PARTS, SEEN, DROPPED) > 0 then return false end
  for _, owner in ipairs(call('ZRANGE', OWNERS, 0, -1)) do
    if call('EXISTS', news_of(owner)) == 1 then return false end
  end
  return true
end

-- For how long that has been so, ms; nothing in it has come to an end meanwhile.
local function idle()
  if not is_empty() then
    call('HDEL', LIFE, 'idle')
    return 0
  end
  local told = call('HGET', LIFE, 'news') or '0'
  local since, then_told = string.match(call('HGET', LIFE, 'idle') or '', '^(%d+) (%d+)$')
  if then_told ~= told then
    since = string.format('%.0f', NOW)
    call('HSET', LIFE, 'idle', since .. ' ' .. told)
  end
  return NOW - tonumber(since)
end
