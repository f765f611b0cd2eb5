-- ARGV: incarnation, owner, then for each task: key, run, part, inverted priority, need, recorded, class, exclusive, task.

local owner = ARGV[2]
alive(owner)
local more = false
for i = 3, #ARGV, 9 do
  local key, run, part, priority = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local exclusive = ARGV[i + 7] == '1'
  local task = load_task(key)
  if not task then
    local sequence = call('HINCRBY', LIFE, 'sequence', 1)
    task = {
      part = part,
      class = tonumber(ARGV[i + 6]),
      exclusive = exclusive,
      since = NOW,
      member = priority .. struct.pack('>I8', sequence) .. ARGV[i + 4] .. ARGV[i + 5] .. key,
      owners = { { owner, run, true } },
    }
    call('HSETNX', PARTS, part, cmsgpack.pack({}))
    call('HSET', SPECS, key, ARGV[i + 8])
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
    if task.counter then
      tell(owner, 'S', key, run, task.worker)
    else
      local new, old = { struct.unpack('>I4I4', priority) }, { struct.unpack('>I4I4', task.member) }
      local better = new[1] < old[1] or (new[1] == old[1] and new[2] < old[2])
      if better or (exclusive and not task.exclusive) then
        take(task)
        if better then task.member = priority .. string.sub(task.member, 9) end
        task.exclusive = task.exclusive or exclusive
        put(task)
      end
    end
    store_task(key, task)
  end
  call('SADD', wants_of(owner), key)
end
if more then ring('') end
return INCARNATION
