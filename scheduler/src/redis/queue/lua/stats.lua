-- Returns: tasks that wait, tasks under lease, workers, leases given, changes refused.

local leased = call('ZCARD', DEADLINES)
return {
  call('HLEN', TASKS) - leased, leased, call('ZCARD', SEEN),
  tonumber(call('HGET', LIFE, 'leases') or 0), tonumber(call('HGET', LIFE, 'fenced') or 0),
}
