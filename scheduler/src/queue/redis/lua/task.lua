-- Tasks: where they stand, who holds them, how they leave.
--
-- A task is { part, class, exclusive, since, member, owners = { { owner, run, wants }, ... } }, and under lease also
-- counter and worker. `member` is what stands for it in the order of its part: inverted priority (8 bytes), sequence
-- number (8), need (8), '1' if that is recorded and '0' if assumed, key (32). All scores are 0, so Redis orders
-- members by their bytes: the greatest priority first, then the oldest.

local function load_task(key)
  local packed = call('HGET', TASKS, key)
  if packed then return cmsgpack.unpack(packed) end
end
local function store_task(key, task) call('HSET', TASKS, key, cmsgpack.pack(task)) end

local function put(task)
  if task.exclusive then
    call('ZADD', alone_of(task.part), 0, task.member)
  else
    call('ZADD', ready_of(task.part, task.class), 0, task.member)
    call('SADD', classes_of(task.part), task.class)
  end
end

local function take(task)
  if task.exclusive then
    call('ZREM', alone_of(task.part), task.member)
  else
    local ready = ready_of(task.part, task.class)
    call('ZREM', ready, task.member)
    if call('EXISTS', ready) == 0 then call('SREM', classes_of(task.part), task.class) end
  end
end

local function wanted(task)
  for _, interest in ipairs(task.owners) do
    if interest[3] then return true end
  end
  return false
end

-- The one place where tokens are compared. A lease ends at its deadline, whether the reaper has come or not.
-- Nothing if it is held, else why not.
local function refuse(key, task, incarnation, counter)
  local reason = 'lost'
  if task and task.counter then
    if incarnation ~= INCARNATION or task.counter ~= counter then
      reason = 'stolen'
    elseif NOW < tonumber(call('ZSCORE', DEADLINES, key)) then
      return nil
    end
  end
  call('HINCRBY', LIFE, 'fenced', 1)
  return reason
end

-- Takes a task out of the queue and tells its owners.
local function finish(key, task, kind, payload)
  local holder = ''
  call('HDEL', TASKS, key)
  call('HDEL', SPECS, key)
  if task.counter then
    holder = task.worker
    call('ZREM', DEADLINES, key)
    local packed = call('HGET', WORKERS, holder)
    if packed then
      local worker = cmsgpack.unpack(packed)
      worker.held = math.max(worker.held - 1, 0)
      -- The exclusive task was its only one.
      worker.alone = worker.alone and worker.held > 0
      call('HSET', WORKERS, holder, cmsgpack.pack(worker))
    end
  else
    take(task)
  end
  local rest = struct.pack('>I2', #holder) .. holder .. payload
  for _, interest in ipairs(task.owners) do
    call('SREM', wants_of(interest[1]), key)
    tell(interest[1], kind, key, interest[2], rest)
  end
end
