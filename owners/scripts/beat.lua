-- beat: a gateway or control process says that it watches, and learns who else does. Advice, never safety.
-- KEYS 1 this watcher · 2 index of watchers
-- ARGV 1 id · 2 milliseconds for which a beat counts
-- Reply "ok", then the ids of all watchers.
local now = redis.call('TIME')
local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', ms), 'PX', ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', ms), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', ms - tonumber(ARGV[2])))
local reply = {'ok'}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], '0', '-1')) do
  reply[#reply + 1] = id
end
return reply
