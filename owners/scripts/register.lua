-- register: make a session live and indexed; then as renew.
-- KEYS 1 session · 2 index of sessions · 3 epoch
-- ARGV 1 sid · 2 random part of the nonce · 3 lease in ms · 4 leases.max in ms · 5 ready ("1" or "0")
--      6 addr · 7 name · 8 app · 9 version · 10 preview · 11 classes, separated by spaces
-- Reply status, id of the epoch ("" when there is none), then the session's fields and values:
--   ok       registered, or renewed because this call came before
--   fenced   the session is final
--   lease    the lease is longer than leases.max; nothing was written
--   format   the record is of another format; nothing was changed
local key, now = KEYS[1], redis.call('TIME')
local us = string.format('%.0f', tonumber(now[1]) * 1000000 + tonumber(now[2]))
local function answer(status)
  local reply = {status, redis.call('HGET', KEYS[3], 'id') or ''}
  for _, v in ipairs(redis.call('HGETALL', key)) do
    reply[#reply + 1] = v
  end
  return reply
end
local x = redis.call('HMGET', key, 'f', 'state')
if x[1] ~= '1' and (x[1] or x[2]) then return answer('format') end
if not x[2] then
  if tonumber(ARGV[3]) > tonumber(ARGV[4]) then return answer('lease') end
  -- What acquire reads stands first: finding a field in a small hash takes as long as it stands far back.
  redis.call('HSET', key, 'f', '1', 'state', 'live', 'ready', ARGV[5], 'wanted', '', 'version', ARGV[9],
    'lh', ARGV[3], 'addr', ARGV[6], 'name', ARGV[7], 'app', ARGV[8], 'preview', ARGV[10], 'classes', ARGV[11],
    'born', us, 'objects', '0', 'events', '0')
  redis.call('SADD', KEYS[2], ARGV[1])
elseif x[2] ~= 'live' and x[2] ~= 'draining' then
  return answer('fenced')
end
local k = redis.call('HINCRBY', key, 'k', 1)
redis.call('HSET', key, 'nonce', ARGV[2] .. ':' .. us .. ':' .. string.format('%.0f', k), 'ready', ARGV[5], 'seen', us)
return answer('ok')
