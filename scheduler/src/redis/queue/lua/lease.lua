-- Gives tasks to the workers that ask, in their order. Choice and lease are this one step.
-- ARGV: incarnation, lease ttl, worker ttl, exclusive patience (all ms), then for each request: worker, slots, running,
-- free memory, total memory, '1' to take note of the worker, '1' if it may get second leases, number of parts, the
-- parts.
-- Returns: incarnation, now, whether there is more (tasks, as far as they were looked at), and for each request its leases:
-- key, counter, task, inverted priority, exclusive.

local TTL, WORKER_TTL, PATIENCE = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local waiting = call('HLEN', TASKS) - call('ZCARD', DEADLINES)
local parts = {}

local function alone_in(part) return list(alone_of(part), NO_SHARE) end
local straggling = {}
local function stragglers_in(part)
  straggling[part] = straggling[part] or list(stragglers_of(part), NO_SHARE)
  return straggling[part]
end

-- A reservation ends with its task or with its worker.
local function reservation_of(name, part, alone)
  if not part.worker then return nil end
  local seen = call('ZSCORE', SEEN, part.worker)
  local there = seen and NOW - tonumber(seen) < WORKER_TTL
  local waits = first(alone, function(item) return item.key == part.key end)
  if not there or not waits then
    part.worker, part.key = nil, nil
    store_part(name, part)
  end
  return part.worker
end

-- The list and the place in it of what this worker is to run next; true alone if it is to be kept free.
local function choose(request, worker, name)
  local alone = alone_in(name)
  local idle = request.running == 0 and worker.held == 0
  local function fits_alone(item) return item.need <= worker.total or not item.recorded end
  -- An idle worker is rare under load, so whatever the priorities it is used for a task that needs one.
  local at, item = first(alone, fits_alone)
  if at then
    if idle then return alone, at end
    parts[name] = parts[name] or part_of(name)
    local part = parts[name]
    local reserved = reservation_of(name, part, alone)
    local mine = not reserved or reserved == request.worker
    if mine and NOW - load_task(item.key).since >= PATIENCE then
      part.worker, part.key = request.worker, item.key
      store_part(name, part)
      return true
    end
  end
  return next_of(name, request, idle)
end

-- A new lease of a task: its share is charged, its worker has it.
local function lease_of(request, worker, from, at, deadlines, silent)
  local item = table.remove(from.items, at)
  table.insert(from.taken, item.member)
  local task = load_task(item.key)
  local share = share_of(task.part, task.share)
  local lease = { call('HINCRBY', LIFE, 'leases', 1), request.worker, charge(task.part, share, task.cost), silent }
  worker.held, worker.changed = worker.held + 1, true
  worker.alone = worker.alone or task.exclusive
  request.free = math.max(request.free - item.need, 0)
  call('ZADD', deadlines, NOW + TTL, item.key)
  return lease, item, task, share
end

local function answer_of(lease, item, task)
  return { item.key, lease[1], call('HGET', SPECS, item.key), item.priority, task.exclusive and 1 or 0 }
end

local function give(request, worker, from, at)
  local lease, item, task, share = lease_of(request, worker, from, at, DEADLINES, false)
  if task.kept then
    call('ZREM', kept_of(task.part), item.key)
    task.kept = false
  end
  if not task.exclusive then count(share, from.class, item.recorded, -1) end
  line_up_again(task.part, share)
  waiting = waiting - 1
  task.lease = lease
  store_task(item.key, task)
  for _, interest in ipairs(task.owners) do tell(interest[1], 'S', item.key, interest[2], request.worker) end
  return answer_of(lease, item, task)
end

-- A task that another worker has for too long. Its owners are not told that a second one has it.
local function give_second(request, worker, part)
  local idle = request.running == 0 and worker.held == 0
  local function fits(item)
    if item.need > request.free and (item.recorded or not idle) then return false end
    local task = load_task(item.key)
    return task.lease[2] ~= request.worker and wanted(task)
  end
  local from = stragglers_in(part)
  local at = first(from, fits)
  if not at then return nil end
  local lease, item, task, share = lease_of(request, worker, from, at, SECONDS, true)
  line_up_again(part, share)
  task.second, task.backup = lease, 'given'
  store_task(item.key, task)
  return answer_of(lease, item, task)
end

local function any() return true end

-- Whether there is anything in these parts, for whomever: most that wait find nothing, and that must cost little.
local function anything(parts)
  for _, name in ipairs(parts) do
    if waiting > 0 and (turn(name, 1) or first(alone_in(name), any)) then return true end
    if first(stragglers_in(name), any) then return true end
  end
  return false
end

local function serve(request, worker)
  local leases = {}
  for _, name in ipairs(request.parts) do
    while #leases < request.max and waiting > 0 and not worker.alone do
      local from, at = choose(request, worker, name)
      -- Kept free for a task of this part: it gets nothing of the others either.
      if from == true then return leases end
      if not from then break end
      table.insert(leases, give(request, worker, from, at))
    end
  end
  -- Only when nothing else fits.
  for _, name in ipairs(request.parts) do
    while request.seconds and #leases < request.max and not worker.alone do
      local second = give_second(request, worker, name)
      if not second then break end
      table.insert(leases, second)
    end
  end
  return leases
end

local answers, hungry = {}, false
local i = 5
while i <= #ARGV do
  local request = {
    worker = ARGV[i], max = tonumber(ARGV[i + 1]), running = tonumber(ARGV[i + 2]),
    free = tonumber(ARGV[i + 3]), total = tonumber(ARGV[i + 4]), seconds = ARGV[i + 6] == '1', parts = {},
  }
  local note, count = ARGV[i + 5] == '1', tonumber(ARGV[i + 7])
  for place = i + 8, i + 7 + count do table.insert(request.parts, ARGV[place]) end
  i = i + 8 + count
  local leases = {}
  if note or anything(request.parts) then
    local worker = worker_of(request.worker)
    if note then meet(request, worker) end
    leases = serve(request, worker)
  end
  hungry = hungry or #leases == 0
  table.insert(answers, leases)
end

local left = waiting
for _, from in pairs(straggling) do left = left + #from.items end
remove_taken()
write_back()
if hungry then call('SADD', LISTENING, '') end
return { INCARNATION, NOW, left, answers }
