-- ARGV: incarnation, then for each lease: key, incarnation, counter. Returns for each: held, lost or stolen.

local answers = {}
for i = 2, #ARGV, 3 do
  local key = ARGV[i]
  local refused = refuse(key, load_task(key), ARGV[i + 1], tonumber(ARGV[i + 2]))
  table.insert(answers, refused or 'held')
end
return answers
