-- ARGV: incarnation, then for each lease: key, incarnation, counter, kind of news, outcome. Returns for each: held (it counts), lost or
-- stolen.

local answers = {}
for i = 2, #ARGV, 5 do
  local key = ARGV[i]
  local task = load_task(key)
  local refused = refuse(key, task, ARGV[i + 1], tonumber(ARGV[i + 2]))
  if not refused then finish(key, task, ARGV[i + 3], ARGV[i + 4]) end
  table.insert(answers, refused or 'held')
end
return answers
