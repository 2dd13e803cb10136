-- epoch_begin: a store without an epoch has lost its data, or is new; hold it.
-- KEYS 1 epoch
-- ARGV 1 a new id
-- Reply "ok", then id and state of the epoch.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'f', '1', 'id', ARGV[1], 's', 'hold')
end
local e = redis.call('HMGET', KEYS[1], 'id', 's')
return {'ok', e[1], e[2]}
