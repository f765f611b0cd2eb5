-- Owners: what they are told, and whether they are there.

-- Wakes who has looked in vain. Rung once; who wakes up looks again and says so if it found nothing.
local rung = {}
local function ring(who)
  if rung[who] then return end
  rung[who] = true
  if call('SREM', LISTENING, who) == 1 then call('PUBLISH', BELL, who) end
end

local NOBODY = string.rep('\0', 32)

-- News: number (8 bytes), kind (1), key (32), run (8), the rest by kind. Numbers rise, so that an owner can say up to
-- where it has read.
local function tell(owner, kind, key, run, payload)
  local number = call('HINCRBY', LIFE, 'news', 1)
  call('RPUSH', news_of(owner), struct.pack('>I8', number) .. kind .. key .. run .. payload)
  ring(owner)
end

local function alive(owner)
  if call('ZADD', OWNERS, NOW, owner) == 1 then
    -- If it was dropped, the first of its news says so, and it says again what it wants.
    call('SREM', DROPPED, owner)
    call('PERSIST', news_of(owner))
  end
end

-- An owner that was not heard of. Should it be back within a day, it is told; its tasks are let go of by the reaper.
local function drop(owner)
  call('ZREM', OWNERS, owner)
  call('SREM', LISTENING, owner)
  call('HDEL', BACKLOG, owner)
  call('UNLINK', news_of(owner))
  call('SADD', DROPPED, owner)
  tell(owner, 'F', NOBODY, '\0\0\0\0\0\0\0\0', '')
  call('EXPIRE', news_of(owner), 86400)
end
