-- Shares: whose turn it is in a part of the pool. `queue/share.rs` says by which rule.
--
-- A share is named by its build (16 bytes) and then its user. What is known of it, in this order: number (its age), time
-- (virtual, ms), waiting (tasks in its turn), guesses (those of them whose need is assumed), held (leases), kept (tasks
-- that wait for one worker only), turn (whether it is among the turns), ready = { [class] = tasks that wait for any }. A
-- step keeps what it has read and writes it back at its end.

local LEAST_COST = 1
-- What is read or let go of at a time.
local CHUNK = 16
local shares, builds, floors, clocks = {}, {}, {}, {}

local function user_of(name) return string.sub(name, 17) end
local function turn_of(share) return struct.pack('>I4', share.number) .. share.name end

local function read_share(part, name, packed)
  local share
  if packed then
    local read = cmsgpack.unpack(packed)
    share = {
      number = read[1], time = read[2], waiting = read[3], guesses = read[4], held = read[5], kept = read[6], turn = read[7],
      ready = read[8],
    }
  else
    share = {
      number = call('HINCRBY', LIFE, 'shares', 1), time = 0, waiting = 0, guesses = 0, held = 0, kept = 0, turn = false,
      ready = {}, changed = true,
    }
  end
  share.name = name
  shares[part][name] = share
  return share
end

local function share_of(part, name)
  shares[part] = shares[part] or {}
  return shares[part][name] or read_share(part, name, call('HGET', shares_of(part), name))
end

-- The time of the share that got the last lease, when it got it.
local function clock_of(part)
  if not clocks[part] then clocks[part] = tonumber(call('HGET', CLOCKS, part) or 0) end
  return clocks[part]
end

-- Where a share begins that had nothing, as it was when the step began.
local function floor_of(part)
  if not floors[part] then
    local first = call('ZRANGE', turns_of(part), 0, 0, 'WITHSCORES')
    floors[part] = first[2] and tonumber(first[2]) or clock_of(part)
  end
  return floors[part]
end

-- The virtual time of a share, were it to get something ready now.
local function time_of(part, share)
  if share.turn then return share.time end
  return math.max(share.time, floor_of(part))
end

-- A task more or less that waits in the turn of a share; no class if it is kept for a worker.
local function count(share, class, recorded, by)
  share.changed = true
  share.waiting = share.waiting + by
  if not recorded then share.guesses = share.guesses + by end
  if not class then
    share.kept = share.kept + by
    return
  end
  local tasks = (share.ready[class] or 0) + by
  share.ready[class] = tasks > 0 and tasks or nil
end

-- How many builds of a user have something ready.
local function builds_of(part, user)
  builds[part] = builds[part] or {}
  if not builds[part][user] then builds[part][user] = tonumber(call('HGET', users_of(part), user) or 0) end
  return builds[part][user]
end

-- A lease of this share begins: weight, what was charged, when.
local function charge(part, share, cost)
  local weight = math.max(builds_of(part, user_of(share.name)), 1)
  local begins = time_of(part, share)
  share.time = begins + cost * weight
  share.held = share.held + 1
  share.changed = true
  clocks[part] = math.max(clock_of(part), begins)
  return { weight, cost * weight, NOW }
end

-- The lease ends.
local function settle(part, share, charged)
  local cost = math.max(NOW - charged[3], LEAST_COST) * charged[1]
  share.time = math.max(share.time + cost - charged[2], 0)
  share.held = math.max(share.held - 1, 0)
  share.changed = true
end

local function enter(part, share)
  share.time = math.max(share.time, floor_of(part))
  share.turn = true
  call('HINCRBY', users_of(part), user_of(share.name), 1)
  call('ZREM', resting_of(part), turn_of(share))
end

local function leave(part, share)
  share.turn = false
  call('ZREM', turns_of(part), turn_of(share))
  if call('HINCRBY', users_of(part), user_of(share.name), -1) <= 0 then
    call('HDEL', users_of(part), user_of(share.name))
  end
end

local function write_share(part, share)
  if share.waiting > 0 and not share.turn then enter(part, share) end
  if share.waiting == 0 and share.turn then leave(part, share) end
  if share.turn then call('ZADD', turns_of(part), share.time, turn_of(share)) end
  local rests = not share.turn and share.held == 0
  if rests then call('ZADD', resting_of(part), share.time, turn_of(share)) end
  local packed = {
    share.number, share.time, share.waiting, share.guesses, share.held, share.kept, share.turn, share.ready,
  }
  call('HSET', shares_of(part), share.name, cmsgpack.pack(packed))
  return rests
end

-- Forgets at most so many shares that have nothing and are not ahead of the others any more.
local function forget_shares(part, limit)
  floors[part] = nil
  for _, turn in ipairs(call('ZRANGEBYSCORE', resting_of(part), '-inf', floor_of(part), 'LIMIT', 0, limit)) do
    call('ZREM', resting_of(part), turn)
    call('HDEL', shares_of(part), string.sub(turn, 5))
  end
end

local function write_shares()
  for part, read in pairs(shares) do
    local rests = false
    for _, share in pairs(read) do rests = share.changed and write_share(part, share) or rests end
    if rests and call('HLEN', shares_of(part)) == call('ZCARD', resting_of(part)) then
      -- Everyone has got what they wanted: times are counted from here.
      call('UNLINK', shares_of(part), resting_of(part))
      call('HDEL', CLOCKS, part)
    else
      if clocks[part] then call('HSET', CLOCKS, part, clocks[part]) end
      if rests then forget_shares(part, CHUNK) end
    end
  end
end
