-- Names, the clock, and the life of the pool's data. Stands before every other script.
--
-- KEYS[1] is PREFIX .. 'life'. All names begin with PREFIX, which holds the hash tag of the pool, so they are on one
-- shard. ARGV[1] is the incarnation to take if a new life begins.

local call = redis.call
local LIFE = KEYS[1]
local PREFIX = string.sub(LIFE, 1, -5)
-- key -> what the queue knows of it (MessagePack), key -> the task as its owner wrote it
local TASKS, SPECS = PREFIX .. 'tasks', PREFIX .. 'specs'
-- keys under lease by the time that the lease runs out, and those that a second worker has by the time that its does
local DEADLINES, SECONDS = PREFIX .. 'deadlines', PREFIX .. 'seconds'
-- worker -> MessagePack, worker by the time that it was last heard of
local WORKERS, SEEN = PREFIX .. 'workers', PREFIX .. 'seen'
-- part of the pool -> MessagePack, part -> virtual time of the share that got the last lease when it got it
local PARTS, CLOCKS = PREFIX .. 'parts', PREFIX .. 'clocks'
-- owners by the time that they were last heard of, and those who were not heard of for too long
local OWNERS, DROPPED = PREFIX .. 'owners', PREFIX .. 'dropped'
-- owner -> bytes of output among its news
local BACKLOG = PREFIX .. 'backlog'
-- who looked, found nothing and wants to be rung for: owners, and '' for workers
local LISTENING = PREFIX .. 'listening'
local BELL = PREFIX .. 'bell'
-- Bit lengths of a number of MiB that fits into 64 bits of bytes, and zero.
local CLASSES = 45

local time = call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)

local function ready_of(part, class) return PREFIX .. 'ready:' .. class .. ':' .. part end
-- share -> MessagePack; shares by virtual time that have something ready, and that have neither that nor a lease
local function shares_of(part) return PREFIX .. 'shares:' .. part end
local function turns_of(part) return PREFIX .. 'turns:' .. part end
local function resting_of(part) return PREFIX .. 'resting:' .. part end
-- user -> how many of their builds have something ready
local function users_of(part) return PREFIX .. 'users:' .. part end
local function alone_of(part) return PREFIX .. 'alone:' .. part end
-- tasks that are kept for a worker: in order; key by the time that they no longer are
local function near_of(part) return PREFIX .. 'near:' .. part end
local function kept_of(part) return PREFIX .. 'kept:' .. part end
-- tasks under lease that a second worker may have, in order
local function stragglers_of(part) return PREFIX .. 'stragglers:' .. part end
local function serving_of(part) return PREFIX .. 'serving:' .. part end
local function news_of(owner) return PREFIX .. 'news:' .. owner end
local function wants_of(owner) return PREFIX .. 'wants:' .. owner end

-- The process that serves the data. Another one may have begun with older data than the last one ended with.
local function server()
  return string.match(call('INFO', 'server'), 'run_id:(%x+)')
end

-- Nothing of an earlier life is left: what it held may be older than what was told since.
local function begin(incarnation)
  for _, part in ipairs(call('HKEYS', PARTS)) do
    for class = 0, CLASSES - 1 do call('UNLINK', ready_of(part, class)) end
    call('UNLINK', shares_of(part), turns_of(part), resting_of(part), users_of(part))
    call('UNLINK', alone_of(part), near_of(part), kept_of(part))
    call('UNLINK', stragglers_of(part), serving_of(part))
  end
  for _, owner in ipairs(call('ZRANGE', OWNERS, 0, -1)) do call('UNLINK', news_of(owner), wants_of(owner)) end
  for _, owner in ipairs(call('SMEMBERS', DROPPED)) do call('UNLINK', wants_of(owner)) end
  call('UNLINK', LIFE, TASKS, SPECS, DEADLINES, SECONDS, WORKERS, SEEN, PARTS, CLOCKS, OWNERS, DROPPED, BACKLOG, LISTENING)
  call('HSET', LIFE, 'incarnation', incarnation, 'server', server())
  return incarnation
end

local INCARNATION = call('HGET', LIFE, 'incarnation') or begin(ARGV[1])

-- A part of the pool, unknown ones made.
local function part_of(name)
  local packed = call('HGET', PARTS, name)
  if packed then return cmsgpack.unpack(packed) end
  return {}
end
local function store_part(name, part) call('HSET', PARTS, name, cmsgpack.pack(part)) end
