-- Workers: what is known of them, as { held, alone, total, parts }: leases, whether it holds that of a task that is to run
-- alone, its memory, the parts that it serves. A step keeps what it has read and writes it back at its end.

local workers = {}

-- Nothing if it is not known.
local function known_worker(name)
  if workers[name] == nil then
    local packed = call('HGET', WORKERS, name)
    workers[name] = packed and cmsgpack.unpack(packed) or false
  end
  return workers[name] or nil
end

local function worker_of(name)
  workers[name] = known_worker(name) or { held = 0, alone = false, total = 0, parts = {} }
  return workers[name]
end

local function meet(request, worker)
  call('ZADD', SEEN, NOW, request.worker)
  for _, name in ipairs(worker.parts) do call('ZREM', serving_of(name), request.worker) end
  worker.total, worker.parts, worker.changed = request.total, request.parts, true
  for _, name in ipairs(request.parts) do
    call('ZADD', serving_of(name), request.total, request.worker)
    local part = part_of(name)
    if not part.known then
      part.known = NOW
      store_part(name, part)
    end
  end
end

local function forget_worker(name)
  workers[name] = false
  call('ZREM', SEEN, name)
  call('HDEL', WORKERS, name)
end

local function write_workers()
  for name, worker in pairs(workers) do
    if worker and worker.changed then
      worker.changed = nil
      call('HSET', WORKERS, name, cmsgpack.pack(worker))
    end
  end
end

-- To be called at the end of a step that has changed tasks.
local function write_back()
  write_workers()
  write_shares()
end
