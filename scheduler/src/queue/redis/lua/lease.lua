-- Gives tasks to the workers that ask, in their order. Choice and lease are this one step.
-- ARGV: incarnation, lease ttl, worker ttl, exclusive patience (all ms), then for each request: worker, slots, running,
-- free memory, total memory, '1' to take note of the worker, number of parts, the parts.
-- Returns: incarnation, now, tasks that still wait, and for each request its leases:
-- key, counter, task, inverted priority, exclusive.

local TTL, WORKER_TTL, PATIENCE = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- Tasks looked at in a class of which some fit and some do not.
local SCAN, CHUNK = 64, 16

local waiting = call('HLEN', TASKS) - call('ZCARD', DEADLINES)
local workers, parts, heads = {}, {}, {}

local function worker_of(name)
  if not workers[name] then
    local packed = call('HGET', WORKERS, name)
    workers[name] = packed and cmsgpack.unpack(packed) or { held = 0, alone = false, total = 0, parts = {} }
  end
  return workers[name]
end

local function meet(request, worker)
  call('ZADD', SEEN, NOW, request.worker)
  for _, name in ipairs(worker.parts) do call('ZREM', serving_of(name), request.worker) end
  worker.total, worker.parts = request.total, request.parts
  for _, name in ipairs(request.parts) do
    call('ZADD', serving_of(name), request.total, request.worker)
    local part = part_of(name)
    if not part.known then
      part.known = NOW
      store_part(name, part)
    end
  end
  call('HSET', WORKERS, request.worker, cmsgpack.pack(worker))
end

local function item_of(member)
  local high, low, sequence, need = struct.unpack('>I4I4I8I8', member)
  return {
    member = member, high = high, low = low, sequence = sequence, need = need,
    recorded = string.sub(member, 25, 25) == '1', key = string.sub(member, 26),
  }
end

local function before(a, b)
  if a.high ~= b.high then return a.high < b.high end
  if a.low ~= b.low then return a.low < b.low end
  return a.sequence < b.sequence
end

-- A list that is read as far as it is needed. What is taken leaves Redis when the script ends, so that places in it stay.
local function list(name, class)
  return { name = name, class = class, items = {}, read = 0, more = true, taken = {} }
end

local function first(from, fits)
  for at = 1, SCAN do
    if at > #from.items then
      if not from.more then return nil end
      local members = call('ZRANGE', from.name, from.read, from.read + CHUNK - 1)
      from.read = from.read + #members
      from.more = #members == CHUNK
      for _, member in ipairs(members) do table.insert(from.items, item_of(member)) end
      if at > #from.items then return nil end
    end
    if fits(from.items[at]) then return at, from.items[at] end
  end
end

local function heads_of(part)
  if not heads[part] then
    local found = { alone = list(alone_of(part)), classes = {} }
    for _, class in ipairs(call('SMEMBERS', classes_of(part))) do
      table.insert(found.classes, list(ready_of(part, class), class))
    end
    heads[part] = found
  end
  return heads[part]
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
  local heads = heads_of(name)
  local idle = request.running == 0 and worker.held == 0
  local function fits_alone(item) return item.need <= worker.total or not item.recorded end
  -- An idle worker is rare under load, so whatever the priorities it is used for a task that needs one.
  local at, item = first(heads.alone, fits_alone)
  if at then
    if idle then return heads.alone, at end
    parts[name] = parts[name] or part_of(name)
    local part = parts[name]
    local reserved = reservation_of(name, part, heads.alone)
    local mine = not reserved or reserved == request.worker
    if mine and NOW - load_task(item.key).since >= PATIENCE then
      part.worker, part.key = request.worker, item.key
      store_part(name, part)
      return true
    end
  end
  local function fits(item) return item.need <= request.free or (idle and not item.recorded) end
  local best, best_at
  for _, class in ipairs(heads.classes) do
    local at, item = first(class, fits)
    if at and (not best or before(item, best.items[best_at])) then best, best_at = class, at end
  end
  return best, best_at
end

local function give(request, worker, from, at)
  local item = table.remove(from.items, at)
  table.insert(from.taken, item.member)
  local key = item.key
  local task = load_task(key)
  local counter = call('HINCRBY', LIFE, 'leases', 1)
  worker.held = worker.held + 1
  worker.alone = worker.alone or task.exclusive
  request.free = math.max(request.free - item.need, 0)
  waiting = waiting - 1
  call('ZADD', DEADLINES, NOW + TTL, key)
  task.counter, task.worker = counter, request.worker
  store_task(key, task)
  for _, interest in ipairs(task.owners) do tell(interest[1], 'S', key, interest[2], request.worker) end
  return { key, counter, call('HGET', SPECS, key), string.sub(item.member, 1, 8), task.exclusive and 1 or 0 }
end

-- Whether anything waits in these parts, for whomever: most that wait find nothing, and that must cost little.
local function anything(parts)
  for _, name in ipairs(parts) do
    local heads = heads_of(name)
    if #heads.classes > 0 or first(heads.alone, function() return true end) then return true end
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
  return leases
end

local answers, hungry = {}, false
local i = 5
while i <= #ARGV do
  local request = {
    worker = ARGV[i], max = tonumber(ARGV[i + 1]), running = tonumber(ARGV[i + 2]),
    free = tonumber(ARGV[i + 3]), total = tonumber(ARGV[i + 4]), parts = {},
  }
  local note, count = ARGV[i + 5] == '1', tonumber(ARGV[i + 6])
  for place = i + 7, i + 6 + count do table.insert(request.parts, ARGV[place]) end
  i = i + 7 + count
  local leases = {}
  if note or (waiting > 0 and anything(request.parts)) then
    local worker = worker_of(request.worker)
    if note then meet(request, worker) end
    leases = serve(request, worker)
    if #leases > 0 then call('HSET', WORKERS, request.worker, cmsgpack.pack(worker)) end
  end
  hungry = hungry or #leases == 0
  table.insert(answers, leases)
end

local function remove(from, part)
  for start = 1, #from.taken, 100 do
    call('ZREM', from.name, unpack(from.taken, start, math.min(start + 99, #from.taken)))
  end
  if from.class and #from.taken > 0 and call('EXISTS', from.name) == 0 then
    call('SREM', classes_of(part), from.class)
  end
end
for part, found in pairs(heads) do
  remove(found.alone, part)
  for _, class in ipairs(found.classes) do remove(class, part) end
end
if hungry then call('SADD', LISTENING, '') end
return { INCARNATION, NOW, waiting, answers }
