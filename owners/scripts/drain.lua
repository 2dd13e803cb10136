-- drain: a host says that it takes no new pins and will close.
-- KEYS 1 session
-- Reply status, then the session's fields and values:
--   ok       draining now, or before
--   fenced   the session is final or missing
--   format   the record is of another format; nothing was changed
local x, status = redis.call('HMGET', KEYS[1], 'f', 'state'), 'ok'
if x[1] ~= '1' and (x[1] or x[2]) then
  status = 'format'
elseif x[2] == 'live' then
  redis.call('HSET', KEYS[1], 'state', 'draining')
elseif x[2] ~= 'draining' then
  status = 'fenced'
end
local reply = {status}
for _, v in ipairs(redis.call('HGETALL', KEYS[1])) do
  reply[#reply + 1] = v
end
return reply
