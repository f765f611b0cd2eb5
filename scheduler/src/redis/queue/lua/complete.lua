-- ARGV: incarnation, then for each lease: key, incarnation, counter, kind of news, '1' if it is true of the action itself,
-- outcome. Returns for each: held (it counts) and the worker that held it, lost or stolen.

local answers = {}
for i = 2, #ARGV, 6 do
  local key = ARGV[i]
  local task = load_task(key)
  local refused, _, lease = refuse(key, task, ARGV[i + 1], tonumber(ARGV[i + 2]))
  if not refused then end_lease(key, task, lease, ARGV[i + 3], ARGV[i + 5], ARGV[i + 4] == '1') end
  table.insert(answers, refused and { refused, '' } or { 'held', lease[2] })
end
write_back()
return answers
