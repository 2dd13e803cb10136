-- write: a batch of writes, all or none, under the fence. Sent once: it is not idempotent against later writes.
-- KEYS 1 fence  2 values  3 index
-- ARGV 1 token  2 sid  3 n  4 revision that must stand, or -1  5 seconds that the fence of an empty object is kept
--      then for each write: "p", key, value or "d", key, ""
-- Replies {"ok", v}, {"stale", t} or {"revision", v}
local f = redis.call('HMGET', KEYS[1], 't', 'sid', 'n', 'v')
if f[1] ~= ARGV[1] or f[2] ~= ARGV[2] or f[3] ~= ARGV[3] then
  return {'stale', f[1] or '0'}
end
local v = f[4] or '0'
if ARGV[4] ~= '-1' and ARGV[4] ~= v then
  return {'revision', v}
end
for i = 6, #ARGV, 3 do
  if ARGV[i] == 'p' then
    redis.call('HSET', KEYS[2], ARGV[i + 1], ARGV[i + 2])
    redis.call('ZADD', KEYS[3], 0, ARGV[i + 1])
  else
    redis.call('HDEL', KEYS[2], ARGV[i + 1])
    redis.call('ZREM', KEYS[3], ARGV[i + 1])
  end
end
v = string.format('%.0f', tonumber(v) + 1)
redis.call('HSET', KEYS[1], 'v', v)
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
return {'ok', v}
