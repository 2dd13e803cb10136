-- epoch_open: by whoever watched this very epoch hold for longer than any lease.
-- KEYS 1 epoch
-- ARGV 1 the id watched
-- Reply "ok" or "other" (another epoch stands, or none), then id and state of the epoch.
local e = redis.call('HMGET', KEYS[1], 'id', 's')
if e[1] ~= ARGV[1] then return {'other', e[1], e[2]} end
if e[2] ~= 'open' then
  redis.call('HSET', KEYS[1], 's', 'open')
end
return {'ok', e[1], 'open'}
