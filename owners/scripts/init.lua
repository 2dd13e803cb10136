-- init: open the epoch of a store of which the operator says that there are no hosts yet.
-- KEYS 1 epoch · 2 index of sessions · 3 final ones
-- ARGV 1 a new id
-- Reply status, then id and state of the epoch:
--   ok        open now, or before
--   sessions  there are sessions: their hosts may hold leases of before, the epoch must be waited for
local e = redis.call('HMGET', KEYS[1], 'id', 's')
if e[2] == 'open' then return {'ok', e[1], e[2]} end
if redis.call('SCARD', KEYS[2]) > 0 or redis.call('ZRANGE', KEYS[3], '0', '0')[1] then return {'sessions', e[1], e[2]} end
e[1] = e[1] or ARGV[1]
redis.call('HSET', KEYS[1], 'f', '1', 'id', e[1], 's', 'open')
return {'ok', e[1], 'open'}
