-- read: values of keys, under the fence.
-- KEYS 1 fence  2 values
-- ARGV 1 token  2 sid  3 n  4… keys
-- Replies {"ok", v, value or false, …} or {"stale", t}
local f = redis.call('HMGET', KEYS[1], 't', 'sid', 'n', 'v')
if f[1] ~= ARGV[1] or f[2] ~= ARGV[2] or f[3] ~= ARGV[3] then
  return {'stale', f[1] or '0'}
end
local out = {'ok', f[4] or '0'}
for i = 4, #ARGV do out[i - 1] = redis.call('HGET', KEYS[2], ARGV[i]) end
return out
