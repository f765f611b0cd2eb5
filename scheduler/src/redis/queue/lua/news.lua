-- Lets go of the news that an owner has read, and reads on. What was sent and did not arrive is sent again.
-- ARGV: incarnation, owner, at most so many; what the last call returned: incarnation, number of the last (8 bytes), how
-- many, bytes of output in them.
-- Returns: incarnation, news.

local owner = ARGV[2]
local list = news_of(owner)
alive(owner)

-- Numbers as strings of equal length: compared as numbers, since Lua compares strings by locale.
local function number_of(news) return (struct.unpack('>I8', news)) end

if ARGV[4] == INCARNATION then
  local read, count = number_of(ARGV[5]), tonumber(ARGV[6])
  local last = count > 0 and call('LINDEX', list, count - 1)
  if last and number_of(last) == read then
    call('LTRIM', list, count, -1)
    if call('EXISTS', list) == 0 then
      call('HDEL', BACKLOG, owner)
    else
      call('HINCRBY', BACKLOG, owner, 0 - tonumber(ARGV[7]))
    end
  end
end
local news = call('LRANGE', list, 0, tonumber(ARGV[3]) - 1)
if #news == 0 then call('SADD', LISTENING, owner) end
return { INCARNATION, news }
