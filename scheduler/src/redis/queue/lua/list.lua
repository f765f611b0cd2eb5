-- Lists of tasks in their order, read as far as they are needed. What is taken leaves Redis when the step ends, so that
-- places in it stay.

-- Tasks looked at in a list of which some fit and some do not.
local SCAN = 64
-- What is read of a list at first: of most, one task is wanted.
local LITTLE = 2
local lists = {}

-- A member, of which so much stands before what stands for the task.
local function item_of(member, skip)
  local high, low, sequence, need = struct.unpack('>I4I4I8I8', member, skip + 1)
  return {
    member = member, high = high, low = low, sequence = sequence, need = need,
    recorded = is_recorded(string.sub(member, skip + 1)), key = string.sub(member, skip + 26),
    priority = string.sub(member, skip + 1, skip + 8),
  }
end

local function before(a, b)
  if a.high ~= b.high then return a.high < b.high end
  if a.low ~= b.low then return a.low < b.low end
  return a.sequence < b.sequence
end

-- What of the list of this name begins so.
local function list(name, prefix)
  local id = prefix .. name
  if not lists[id] then
    -- No member is longer.
    lists[id] = {
      name = name, from = '[' .. prefix, to = '[' .. prefix .. string.rep('\255', 64), skip = #prefix,
      items = {}, more = true, taken = {}, chunk = LITTLE,
    }
  end
  return lists[id]
end

-- The first that fits, with its place; `left.tasks` is how many may still be looked at.
local function first(from, fits, left)
  for at = 1, math.min(SCAN, left and left.tasks or SCAN) do
    if at > #from.items then
      if not from.more then return nil end
      local members = call('ZRANGEBYLEX', from.name, from.from, from.to, 'LIMIT', 0, from.chunk)
      from.more = #members == from.chunk
      from.chunk = math.min(from.chunk * 4, CHUNK)
      for _, member in ipairs(members) do table.insert(from.items, item_of(member, from.skip)) end
      if at > #from.items then return nil end
      from.from = '(' .. members[#members]
    end
    if left then left.tasks = left.tasks - 1 end
    if fits(from.items[at]) then return at, from.items[at] end
  end
end

local function remove_taken()
  for _, from in pairs(lists) do
    for start = 1, #from.taken, 100 do
      call('ZREM', from.name, unpack(from.taken, start, math.min(start + 99, #from.taken)))
    end
  end
end
