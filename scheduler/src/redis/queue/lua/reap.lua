-- Ends what ran out of time, at most so much of it.
-- ARGV: incarnation, limit, worker ttl, placement grace, owner ttl (ms), the shorter grace of a known pool (ms), both graces in
-- seconds for a person, how long a part is remembered that had a worker (ms).
-- Returns: leases that ran out, unplaceable tasks, tasks that only dropped owners wanted, ms until the next lease runs out or -1, ms
-- for which nobody has used the pool.

local LIMIT, WORKER_TTL, GRACE = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- Tasks looked at in a search for those that fit nowhere, for each limit.
local SWEEP = 1000

local expired, room = 0, LIMIT
-- Second leases first: of a task that has lost both, one loss is told.
for _, deadlines in ipairs({ SECONDS, DEADLINES }) do
  for _, key in ipairs(call('ZRANGEBYSCORE', deadlines, '-inf', NOW, 'LIMIT', 0, room)) do
    local task = load_task(key)
    end_lease(key, task, deadlines == SECONDS and task.second or task.lease, 'X', '', false)
    expired, room = expired + 1, room - 1
  end
end

for _, name in ipairs(call('ZRANGEBYSCORE', SEEN, '-inf', NOW - WORKER_TTL, 'LIMIT', 0, LIMIT)) do
  local worker = worker_of(name)
  if worker.held == 0 then
    forget_worker(name)
    for _, part_name in ipairs(worker.parts) do
      call('ZREM', serving_of(part_name), name)
      if call('EXISTS', serving_of(part_name)) == 0 then
        local part = part_of(part_name)
        part.abandoned = NOW
        store_part(part_name, part)
      end
    end
  end
end

local unplaceable = 0
local function hopeless(key, task, reason)
  finish(key, task, 'U', reason)
  unplaceable = unplaceable + 1
  room = room - 1
end

-- Since when parts of the pool have workers.
local known
for _, name in ipairs(call('HKEYS', PARTS)) do
  local since = call('EXISTS', serving_of(name)) == 1 and part_of(name).known
  if since and (not known or since < known) then known = since end
end

-- Nobody is there for this part: those that wait too long.
local function abandoned(name, part)
  local grace, seconds = GRACE, ARGV[7]
  -- A worker that was there may be starting again; one that never was is not to be expected.
  if not part.known and known and NOW - known >= GRACE then grace, seconds = tonumber(ARGV[6]), ARGV[8] end
  local reason = 'no worker of pool "' .. name .. '" has asked for tasks for ' .. seconds
    .. ' s; start one, or choose another pool'
  local lists = { alone_of(name) }
  for class = 0, CLASSES - 1 do table.insert(lists, ready_of(name, class)) end
  for _, list in ipairs(lists) do
    -- In front may stand young ones, but not for longer than the grace.
    for _, member in ipairs(call('ZRANGE', list, 0, LIMIT)) do
      if room <= 0 then return end
      local key = string.sub(member, 30)
      local task = load_task(key)
      if NOW - math.max(task.since, part.abandoned or 0) >= grace then hopeless(key, task, reason) end
    end
  end
end

local function too_large(name, largest, total)
  local _, class = math.frexp(math.floor(total / 1048576))
  local lists = { alone_of(name) }
  for other = class, CLASSES - 1 do table.insert(lists, ready_of(name, other)) end
  for _, list in ipairs(lists) do
    for _, member in ipairs(call('ZRANGE', list, 0, SWEEP - 1)) do
      if room <= 0 then return end
      local need = struct.unpack('>I8', member, 21)
      if need > total and is_recorded(string.sub(member, 5)) then
        local key = string.sub(member, 30)
        hopeless(key, load_task(key), string.format(
          'it took %.0f MiB of memory before, and the largest worker of pool "%s", %s, has %.0f MiB; add a larger worker',
          math.ceil(need / 1048576), name, largest, math.floor(total / 1048576)))
      end
    end
  end
end

-- Whether a part has nothing that anybody would miss, nor any worker that may come back.
local function is_forgotten(name, part)
  local left = call('EXISTS', serving_of(name), shares_of(name), resting_of(name), turns_of(name), alone_of(name),
    kept_of(name), stragglers_of(name))
  local gone = not part.abandoned or NOW - part.abandoned >= tonumber(ARGV[9])
  return left == 0 and not shares[name] and gone
end

for _, name in ipairs(call('HKEYS', PARTS)) do
  local part = part_of(name)
  local largest = call('ZREVRANGE', serving_of(name), 0, 0, 'WITHSCORES')
  forget_shares(name, LIMIT)
  for _, key in ipairs(call('ZRANGE', kept_of(name), 0, LIMIT)) do
    local task = load_task(key)
    if not can_come(name, task.near[1], task.member, WORKER_TTL) then release(key, task) end
  end
  if is_forgotten(name, part) then
    call('HDEL', PARTS, name)
  elseif call('EXISTS', turns_of(name), alone_of(name)) == 0 and not shares[name] then
    -- Nothing waits for this part.
  elseif not largest[1] then
    abandoned(name, part)
  elseif NOW - (part.known or NOW) >= GRACE then
    too_large(name, largest[1], tonumber(largest[2]))
  end
end

for _, owner in ipairs(call('ZRANGEBYSCORE', OWNERS, '-inf', NOW - tonumber(ARGV[5]), 'LIMIT', 0, LIMIT)) do drop(owner) end
local orphans = 0
for _, owner in ipairs(call('SMEMBERS', DROPPED)) do
  if room > 0 then
    for _, key in ipairs(call('SPOP', wants_of(owner), room)) do
      room = room - 1
      local task = load_task(key)
      for at = task and #task.owners or 0, 1, -1 do
        if task.owners[at][1] == owner then table.remove(task.owners, at) end
      end
      if task and not wanted(task) then orphans = orphans + 1 end
      if task and not wanted(task) and not task.lease then
        finish(key, task, 'C', '')
      elseif task then
        -- A worker that has it hears of it with the next renewal.
        store_task(key, task)
      end
    end
  end
  if call('EXISTS', wants_of(owner)) == 0 then call('SREM', DROPPED, owner) end
end
write_back()
local next = -1
for _, deadlines in ipairs({ SECONDS, DEADLINES }) do
  local first = call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')
  local left = first[2] and math.max(tonumber(first[2]) - NOW, 0)
  if left and (next < 0 or left < next) then next = left end
end
return { expired, unplaceable, orphans, next, idle() }
