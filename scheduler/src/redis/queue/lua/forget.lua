-- Lets go of what a pool has left that nobody has used for long. The name of its life stays for a day, for who used it last.
-- ARGV: incarnation, for how long (ms). Returns: 1 if it is gone.

if idle() < tonumber(ARGV[2]) then return 0 end
call('UNLINK', SPECS, DEADLINES, SECONDS, WORKERS, CLOCKS, OWNERS, BACKLOG, LISTENING)
call('EXPIRE', LIFE, 86400)
return 1
