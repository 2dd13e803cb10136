-- close: a host ends its own session, after it stopped admitting. Final.
-- KEYS 1 session · 2 index of sessions · 3 final ones by the time of their end, milliseconds
-- ARGV 1 milliseconds after which a final session is collected · 2 sid
-- Reply status, then the session's fields and values:
--   ok       closed now, or final before
--   missing  there is no such session; nothing was written
--   format   the record is of another format; nothing was changed
local x, status = redis.call('HMGET', KEYS[1], 'f', 'state'), 'ok'
local now = redis.call('TIME')
local us = tonumber(now[1]) * 1000000 + tonumber(now[2])
if x[1] ~= '1' and (x[1] or x[2]) then
  status = 'format'
elseif not x[2] then
  status = 'missing'
elseif x[2] == 'live' or x[2] == 'draining' then
  redis.call('HSET', KEYS[1], 'state', 'closed', 'ended', string.format('%.0f', us))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
if status == 'ok' and redis.call('SREM', KEYS[2], ARGV[2]) == 1 then
  redis.call('ZADD', KEYS[3], string.format('%.0f', us / 1000), ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('(%.0f', us / 1000 - tonumber(ARGV[1])))
end
local reply = {status}
for _, v in ipairs(redis.call('HGETALL', KEYS[1])) do
  reply[#reply + 1] = v
end
return reply
