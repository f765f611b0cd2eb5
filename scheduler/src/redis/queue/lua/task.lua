-- Tasks: where they stand, who holds them, how they leave.
--
-- A task is { part, share, class, cost, exclusive, since, near, kept, member, owners = { { owner, run, wants }, ... } }, and
-- under lease also lease = { counter, worker, charged, silent }, second = the same of a second worker, backup = 'asked' or
-- 'given'. `near` is a worker and for how many ms the task is kept for it, `kept` whether it now is.
--
-- `member` is what stands for it in order: inverted priority (8 bytes), sequence number (8), need (8), '1' if that is
-- recorded and '0' if assumed, key (32). Before it, in the list that the task is in, stands the number of its share (4),
-- then, if it is kept, the length of the worker's name (2) and the name. In lists that have one order for all shares it is
-- zeros. All scores are 0, so Redis orders members by their bytes: within a share the greatest priority first, then the
-- oldest.

local NO_SHARE = '\0\0\0\0'
local function is_recorded(member) return string.sub(member, 25, 25) == '1' end

local function load_task(key)
  local packed = call('HGET', TASKS, key)
  if packed then return cmsgpack.unpack(packed) end
end
local function store_task(key, task) call('HSET', TASKS, key, cmsgpack.pack(task)) end

local function kept_for(share, worker)
  return struct.pack('>I4I2', share.number, #worker) .. worker
end

local function put(task)
  local part, member = task.part, task.member
  if task.exclusive then
    call('ZADD', alone_of(part), 0, NO_SHARE .. member)
    return
  end
  local share = share_of(part, task.share)
  if task.kept then
    call('ZADD', near_of(part), 0, kept_for(share, task.near[1]) .. member)
    call('ZADD', kept_of(part), task.since + task.near[2], string.sub(member, 26))
  else
    call('ZADD', ready_of(part, task.class), 0, struct.pack('>I4', share.number) .. member)
  end
  count(share, not task.kept and task.class, is_recorded(member), 1)
end

local function take(task)
  local part, member = task.part, task.member
  if task.exclusive then
    call('ZREM', alone_of(part), NO_SHARE .. member)
    return
  end
  local share = share_of(part, task.share)
  if task.kept then
    call('ZREM', near_of(part), kept_for(share, task.near[1]) .. member)
    call('ZREM', kept_of(part), string.sub(member, 26))
  else
    call('ZREM', ready_of(part, task.class), struct.pack('>I4', share.number) .. member)
  end
  count(share, not task.kept and task.class, is_recorded(member), -1)
end

-- Whether a task is worth keeping for a worker: that one is there, serves the part, and is large enough.
local function can_come(part, worker, member, worker_ttl)
  local total, seen = call('ZSCORE', serving_of(part), worker), call('ZSCORE', SEEN, worker)
  if not total or not seen or NOW - tonumber(seen) >= worker_ttl then return false end
  return not is_recorded(member) or struct.unpack('>I8', member, 17) <= tonumber(total)
end

-- From now on anybody may have a task that was kept for a worker.
local function release(key, task)
  take(task)
  task.kept = false
  put(task)
  store_task(key, task)
end

local function wanted(task)
  for _, interest in ipairs(task.owners) do
    if interest[3] then return true end
  end
  return false
end

-- The one place where tokens are compared. A lease ends at its deadline, whether the reaper has come or not.
-- Nothing if it is held, else why not; and which list has its deadline, and the lease.
local function refuse(key, task, incarnation, counter)
  local reason = 'lost'
  if task and task.lease then
    local lease, deadlines = task.lease, DEADLINES
    if task.second and task.second[1] == counter then lease, deadlines = task.second, SECONDS end
    if incarnation ~= INCARNATION or lease[1] ~= counter then
      reason = 'stolen'
    elseif NOW < tonumber(call('ZSCORE', deadlines, key)) then
      return nil, deadlines, lease
    end
  end
  call('HINCRBY', LIFE, 'fenced', 1)
  return reason
end

-- A lease is over: its worker and its share get back what they gave.
local function let_go(task, lease)
  settle(task.part, share_of(task.part, task.share), lease[3])
  local worker = known_worker(lease[2])
  if worker then
    worker.held = math.max(worker.held - 1, 0)
    -- The exclusive task was its only one.
    worker.alone = worker.alone and worker.held > 0
    worker.changed = true
  end
end

-- Takes a task out of the queue and tells its owners; `lease` is the one that ended it.
local function finish(key, task, kind, payload, lease)
  local holder = ''
  call('HDEL', TASKS, key)
  call('HDEL', SPECS, key)
  if task.lease then
    holder = (lease or task.lease)[2]
    call('ZREM', DEADLINES, key)
    let_go(task, task.lease)
    if task.second then
      call('ZREM', SECONDS, key)
      let_go(task, task.second)
    end
    if task.backup == 'asked' then call('ZREM', stragglers_of(task.part), NO_SHARE .. task.member) end
  else
    take(task)
  end
  local rest = struct.pack('>I2', #holder) .. holder .. payload
  for _, interest in ipairs(task.owners) do
    call('SREM', wants_of(interest[1]), key)
    tell(interest[1], kind, key, interest[2], rest)
  end
end

-- Ends a lease, and with it the task, unless another worker goes on with that: only what is true of the action itself ends it
-- for both.
local function end_lease(key, task, lease, kind, payload, of_the_action)
  if of_the_action or not task.second then return finish(key, task, kind, payload, lease) end
  if lease == task.lease then
    call('ZADD', DEADLINES, call('ZSCORE', SECONDS, key), key)
    task.lease = task.second
  end
  call('ZREM', SECONDS, key)
  let_go(task, lease)
  task.second = nil
  store_task(key, task)
end
