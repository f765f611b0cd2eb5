-- Makes sure that this life of the data is the one that it says it is.
-- What was let go of, and is used again, stays.
-- ARGV: incarnation to take, incarnation and greatest counter that the caller remembers.

local given = tonumber(call('HGET', LIFE, 'leases') or 0)
local another = call('HGET', LIFE, 'server') ~= server()
local older = INCARNATION == ARGV[2] and given < tonumber(ARGV[3])
if another or older then
  INCARNATION = begin(ARGV[1])
  given = 0
end
call('PERSIST', LIFE)
return { INCARNATION, given }
