-- Passes on what leased tasks print.
-- ARGV: incarnation, bytes of output that an owner may have among its news, then for each piece: key, incarnation, counter,
-- offset (8 bytes), data. Returns for each: held, lost or stolen; the deadline; 1 if nobody wants the task any more.

local LIMIT = tonumber(ARGV[2])
local answers = {}
for i = 3, #ARGV, 5 do
  local key, data = ARGV[i], ARGV[i + 4]
  local task = load_task(key)
  local refused, deadlines, lease = refuse(key, task, ARGV[i + 1], tonumber(ARGV[i + 2]))
  if refused then
    table.insert(answers, { refused, 0, 0 })
  else
    for _, interest in ipairs(task.owners) do
      -- What a second worker prints is not told, since what the first one did was.
      local backlog = tonumber(call('HGET', BACKLOG, interest[1]) or 0)
      -- An owner that does not read loses output, never ends.
      if interest[3] and not lease[4] and backlog + #data <= LIMIT then
        call('HINCRBY', BACKLOG, interest[1], #data)
        tell(interest[1], 'L', key, interest[2], ARGV[i + 3] .. data)
      end
    end
    table.insert(answers, { 'held', tonumber(call('ZSCORE', deadlines, key)), wanted(task) and 0 or 1 })
  end
end
return answers
