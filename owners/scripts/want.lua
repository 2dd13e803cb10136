-- want: what an operator asks of a host; its next renewal tells it.
-- KEYS 1 session
-- ARGV 1 "", "cordon" or "drain"
-- Reply status, then the session's fields and values:
--   ok       written
--   final    the session is closed or dead
--   missing  there is no such session
--   format   the record is of another format; nothing was changed
local x, status = redis.call('HMGET', KEYS[1], 'f', 'state'), 'ok'
if x[1] ~= '1' and (x[1] or x[2]) then
  status = 'format'
elseif not x[2] then
  status = 'missing'
elseif x[2] ~= 'live' and x[2] ~= 'draining' then
  status = 'final'
else
  redis.call('HSET', KEYS[1], 'wanted', ARGV[1])
end
local reply = {status}
for _, v in ipairs(redis.call('HGETALL', KEYS[1])) do
  reply[#reply + 1] = v
end
return reply
