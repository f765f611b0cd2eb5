-- ARGV: incarnation, lease ttl in ms, then for each lease: key, incarnation, counter.
-- Returns for each: held, lost or stolen; the new deadline; 1 if nobody wants the task any more.

local deadline = NOW + tonumber(ARGV[2])
local answers = {}
for i = 3, #ARGV, 3 do
  local key = ARGV[i]
  local task = load_task(key)
  local refused, deadlines, lease = refuse(key, task, ARGV[i + 1], tonumber(ARGV[i + 2]))
  if refused then
    table.insert(answers, { refused, 0, 0 })
  else
    call('ZADD', deadlines, deadline, key)
    call('ZADD', SEEN, 'XX', NOW, lease[2])
    table.insert(answers, { 'held', deadline, wanted(task) and 0 or 1 })
  end
end
return answers
