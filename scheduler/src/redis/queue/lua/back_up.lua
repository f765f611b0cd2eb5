-- Lets a second worker have tasks under lease.
-- ARGV: incarnation, owner, then for each task: key, run.

local owner = ARGV[2]
alive(owner)
local more = false
for i = 3, #ARGV, 2 do
  local key, run = ARGV[i], ARGV[i + 1]
  local task = load_task(key)
  if task and task.lease and not task.exclusive and not task.backup then
    for _, interest in ipairs(task.owners) do
      if interest[1] == owner and interest[2] == run and interest[3] then
        task.backup = 'asked'
        call('ZADD', stragglers_of(task.part), 0, NO_SHARE .. task.member)
        store_task(key, task)
        more = true
      end
    end
  end
end
if more then ring('') end
return INCARNATION
