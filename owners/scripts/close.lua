-- close: a host ends its own session, after it stopped admitting. Final.
-- KEYS 1 session
-- ARGV 1 milliseconds after which a final session is collected
-- Reply status, then the session's fields and values:
--   ok       closed now, or final before
--   missing  there is no such session; nothing was written
--   format   the record is of another format; nothing was changed
local x, status = redis.call('HMGET', KEYS[1], 'f', 'state'), 'ok'
if x[1] ~= '1' and (x[1] or x[2]) then
  status = 'format'
elseif not x[2] then
  status = 'missing'
elseif x[2] == 'live' or x[2] == 'draining' then
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'state', 'closed',
    'ended', string.format('%.0f', tonumber(now[1]) * 1000000 + tonumber(now[2])))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
local reply = {status}
for _, v in ipairs(redis.call('HGETALL', KEYS[1])) do
  reply[#reply + 1] = v
end
return reply
