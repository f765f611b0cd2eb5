-- ARGV: incarnation, owner, '1' if what is not known is to be answered, then for each task: key, run.
-- Returns the places of those that are not known.

local owner = ARGV[2]
alive(owner)
local unknown = {}
for i = 4, #ARGV, 2 do
  local key, run = ARGV[i], ARGV[i + 1]
  local task = load_task(key)
  local at
  for place, interest in ipairs(task and task.owners or {}) do
    if interest[1] == owner and interest[2] == run then at = place end
  end
  if not at then
    -- Never heard of, or not any more: the owner must not wait for an answer.
    if ARGV[3] == '1' then tell(owner, 'C', key, run, '\0\0') end
    table.insert(unknown, (i - 4) / 2)
  elseif task.owners[at][3] then
    task.owners[at][3] = false
    if wanted(task) then
      table.remove(task.owners, at)
      call('SREM', wants_of(owner), key)
      store_task(key, task)
      tell(owner, 'C', key, run, '\0\0')
    elseif task.lease then
      -- Its worker hears of it with the next renewal.
      store_task(key, task)
    else
      finish(key, task, 'C', '')
    end
  end
end
write_back()
return unknown
