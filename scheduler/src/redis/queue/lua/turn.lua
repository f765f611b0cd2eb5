-- Whose turn it is, and what of theirs fits.

-- Shares, and tasks in all of them together, that are looked at for one lease.
local PASSED, SEARCHED = 256, 1024
-- Tasks that one step releases.
local RELEASED = 256
local MIB = 1048576
local lines = {}

local function sooner(a, b)
  if a.time ~= b.time then return a.time < b.time end
  return a.number < b.number
end

local function line_up(line, share)
  local at = #line + 1
  while at > 1 and sooner(share, line[at - 1]) do at = at - 1 end
  table.insert(line, at, share)
end

-- The shares of a part that have something ready, by their time, as far as they were read.
local function line_of(part)
  if not lines[part] then
    lines[part] = { read = 0, more = true, horizon = -1 }
    -- Before any list is read.
    for _, key in ipairs(call('ZRANGEBYSCORE', kept_of(part), '-inf', NOW, 'LIMIT', 0, RELEASED)) do
      release(key, load_task(key))
    end
  end
  return lines[part]
end

local function read_on(part, line)
  local found = call('ZRANGE', turns_of(part), line.read, line.read + CHUNK - 1, 'WITHSCORES')
  local names = {}
  for i = 1, #found, 2 do table.insert(names, string.sub(found[i], 5)) end
  line.read = line.read + #names
  line.more = #names == CHUNK
  if #names == 0 then return end
  line.horizon = tonumber(found[#found])
  shares[part] = shares[part] or {}
  local packed = call('HMGET', shares_of(part), unpack(names))
  for place, name in ipairs(names) do
    line_up(line, shares[part][name] or read_share(part, name, packed[place]))
  end
end

-- Who is at this place of the line. Those that were not read are not before the last one that was.
local function turn(part, place)
  local line = line_of(part)
  while line.more and (not line[place] or line[place].time > line.horizon) do read_on(part, line) end
  return line[place]
end

-- After the time of a share, or what it has ready, has changed.
local function line_up_again(part, share)
  local line = line_of(part)
  for at, other in ipairs(line) do
    if other == share then
      table.remove(line, at)
      if share.waiting > 0 then line_up(line, share) end
      return
    end
  end
end

-- The least that a task of this class needs, bytes.
local function least(class)
  if class == 0 then return 0 end
  return 2 ^ (class - 1) * MIB
end

-- The list, and the place in it, of what of this share is to run next.
local function best_of(part, share, request, fits, idle, left)
  if share.kept > 0 then
    local from = list(near_of(part), kept_for(share, request.worker))
    local at = first(from, fits, left)
    if at then return from, at end
  end
  local best, best_at
  for class in pairs(share.ready) do
    -- Of a greater class only a guess can fit.
    if least(class) <= request.free or (idle and share.guesses > 0) then
      local from = list(ready_of(part, class), struct.pack('>I4', share.number))
      from.class = class
      local at, item = first(from, fits, left)
      if at and (not best or before(item, best.items[best_at])) then best, best_at = from, at end
    end
  end
  return best, best_at
end

-- The same of all shares, in their turn.
local function next_of(part, request, idle)
  local left = { tasks = SEARCHED }
  local function fits(item) return item.need <= request.free or (idle and not item.recorded) end
  for place = 1, PASSED do
    local share = turn(part, place)
    if not share then return nil end
    local from, at = best_of(part, share, request, fits, idle, left)
    if from then return from, at end
  end
end
