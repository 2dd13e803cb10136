-- renew: extend the lease of a session. The nonce is unique for each execution (random part, time, counter): one that
-- is re-sent late must not bring back a nonce that a watcher saw before.
-- KEYS 1 session · 2 epoch
-- ARGV 1 random part of the nonce · 2 ready ("1" or "0") · 3 active objects · 4 running events
-- Reply status, id of the epoch ("" when there is none), then the session's fields and values:
--   ok       renewed
--   fenced   the session is final or missing
--   format   the record is of another format; nothing was changed
local key, now = KEYS[1], redis.call('TIME')
local us = string.format('%.0f', tonumber(now[1]) * 1000000 + tonumber(now[2]))
local x, status = redis.call('HMGET', key, 'f', 'state'), 'ok'
if x[1] ~= '1' and (x[1] or x[2]) then
  status = 'format'
elseif x[2] ~= 'live' and x[2] ~= 'draining' then
  status = 'fenced'
else
  local k = redis.call('HINCRBY', key, 'k', 1)
  redis.call('HSET', key, 'nonce', ARGV[1] .. ':' .. us .. ':' .. string.format('%.0f', k),
    'ready', ARGV[2], 'seen', us, 'objects', ARGV[3], 'events', ARGV[4])
end
local reply = {status, redis.call('HGET', KEYS[2], 'id') or ''}
for _, v in ipairs(redis.call('HGETALL', key)) do
  reply[#reply + 1] = v
end
return reply
