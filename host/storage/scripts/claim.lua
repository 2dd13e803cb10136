-- claim: become the activation that may use an object's storage, and load it.
-- KEYS 1 fence (hash t, sid, n, v)  2 values (hash)
-- ARGV 1 token  2 sid  3 n  4 most keys to load  5 most bytes to load  6 seconds that the fence of an empty object is kept
-- Replies {"ok", v, complete, key1, value1, …} or {"stale", t}
local f = redis.call('HMGET', KEYS[1], 't', 'sid', 'n', 'v')
local t, n = tonumber(ARGV[1]), tonumber(ARGV[3])
if f[1] then
  local ft = tonumber(f[1])
  if t < ft or (t == ft and (f[2] ~= ARGV[2] or n < tonumber(f[3]))) then
    return {'stale', f[1]}
  end
end
redis.call('HSET', KEYS[1], 't', ARGV[1], 'sid', ARGV[2], 'n', ARGV[3])
local v = f[4] or '0'
local size = redis.call('HLEN', KEYS[2])
if size == 0 then
  redis.call('EXPIRE', KEYS[1], ARGV[6])
  return {'ok', v, '1'}
end
redis.call('PERSIST', KEYS[1])
if size > tonumber(ARGV[4]) then
  return {'ok', v, '0'}
end
local all = redis.call('HGETALL', KEYS[2])
local bytes = 0
for i = 1, #all do bytes = bytes + #all[i] end
if bytes > tonumber(ARGV[5]) then
  return {'ok', v, '0'}
end
local out = {'ok', v, '1'}
for i = 1, #all do out[i + 3] = all[i] end
return out
