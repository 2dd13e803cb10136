-- dead: a watcher that saw a nonce unchanged for a whole lease, or no record for the longest one, ends the session. Final.
-- KEYS 1 session · 2 index of sessions · 3 final ones by the time of their end, milliseconds
-- ARGV 1 nonce as seen, "" for a missing record · 2 milliseconds after which a final session is collected
--      3 server on which it was seen, "run_id/master_replid", or "" for any: a failover may bring back a nonce that
--        the host has replaced since, and the watcher has to watch it anew
--      4 sid
-- Reply status, then the session's fields and values:
--   ok       dead now, or final before
--   moved    this is another server; nothing was written
--   renewed  it is alive: the nonce is another one, or a record appeared
--   missing  a nonce was seen, but the record is missing now; nothing was written
--   format   the record is of another format; nothing was changed
local function server()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. '/' ..
    string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
end
local x, status = redis.call('HMGET', KEYS[1], 'f', 'state', 'nonce'), 'ok'
local now = redis.call('TIME')
local us = tonumber(now[1]) * 1000000 + tonumber(now[2])
if ARGV[3] ~= '' and ARGV[3] ~= server() then
  status = 'moved'
elseif x[1] ~= '1' and (x[1] or x[2]) then
  status = 'format'
elseif not x[2] and ARGV[1] ~= '' then
  status = 'missing'
elseif x[2] ~= 'closed' and x[2] ~= 'dead' then
  if (x[3] or '') == ARGV[1] then
    redis.call('HSET', KEYS[1], 'f', '1', 'state', 'dead', 'ended', string.format('%.0f', us))
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  else
    status = 'renewed'
  end
end
if status == 'ok' and redis.call('SREM', KEYS[2], ARGV[4]) == 1 then
  redis.call('ZADD', KEYS[3], string.format('%.0f', us / 1000), ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('(%.0f', us / 1000 - tonumber(ARGV[2])))
end
local reply = {status}
for _, v in ipairs(redis.call('HGETALL', KEYS[1])) do
  reply[#reply + 1] = v
end
return reply
