-- ARGV: incarnation, owner, worker ttl in ms, then for each task: key, run, part, share, inverted priority, need, recorded,
-- class, cost in ms, exclusive, worker that it is near to or '', for how many ms it is kept for that one, task.

local owner, WORKER_TTL = ARGV[2], tonumber(ARGV[3])
alive(owner)
local more = false
for i = 4, #ARGV, 13 do
  local key, run, part, share, priority = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local need = ARGV[i + 5] .. ARGV[i + 6]
  local class, cost = tonumber(ARGV[i + 7]), tonumber(ARGV[i + 8])
  local exclusive, near, spec = ARGV[i + 9] == '1', ARGV[i + 10], ARGV[i + 12]
  local task = load_task(key)
  if not task then
    local sequence = call('HINCRBY', LIFE, 'sequence', 1)
    task = {
      part = part,
      share = share,
      class = class,
      cost = cost,
      exclusive = exclusive,
      since = NOW,
      member = priority .. struct.pack('>I8', sequence) .. need .. key,
      owners = { { owner, run, true } },
    }
    if near ~= '' and not exclusive and can_come(part, near, task.member, WORKER_TTL) then
      task.near, task.kept = { near, tonumber(ARGV[i + 11]) }, true
    end
    call('HSETNX', PARTS, part, cmsgpack.pack({}))
    call('HSET', SPECS, key, spec)
    store_task(key, task)
    put(task)
    more = true
  else
    local known = false
    for _, interest in ipairs(task.owners) do
      if interest[1] == owner then
        known = true
        -- What was said before the latest may come after it.
        local new, old = { struct.unpack('>I4I4', run) }, { struct.unpack('>I4I4', interest[2]) }
        if new[1] > old[1] or (new[1] == old[1] and new[2] >= old[2]) then
          interest[2], interest[3] = run, true
        end
      end
    end
    if not known then
      table.insert(task.owners, { owner, run, true })
      tell(owner, 'J', key, run, '')
    end
    if task.lease then
      tell(owner, 'S', key, run, task.lease[2])
    else
      local new, old = { struct.unpack('>I4I4', priority) }, { struct.unpack('>I4I4', task.member) }
      local better = new[1] < old[1] or (new[1] == old[1] and new[2] < old[2])
      -- It lies with one share: of those that want it with the one whose turn is first.
      local earlier = share ~= task.share and part == task.part
        and time_of(part, share_of(part, share)) < time_of(part, share_of(part, task.share))
      if better or earlier or (exclusive and not task.exclusive) then
        take(task)
        if better then task.member = priority .. string.sub(task.member, 9) end
        if earlier then
          task.share, task.class, task.cost = share, class, cost
          task.member = string.sub(task.member, 1, 16) .. need .. key
          call('HSET', SPECS, key, spec)
        end
        task.exclusive = task.exclusive or exclusive
        task.kept = task.kept and not task.exclusive
        put(task)
      end
    end
    store_task(key, task)
  end
  call('SADD', wants_of(owner), key)
end
write_back()
if more then ring('') end
return INCARNATION
