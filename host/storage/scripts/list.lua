-- list: entries in key order, under the fence.
-- KEYS 1 fence  2 values  3 index (sorted set, all scores 0)
-- ARGV 1 token  2 sid  3 n  4 lowest  5 highest (as ZRANGEBYLEX takes them)  6 limit  7 "1" for reverse
-- Replies {"ok", v, key1, value1, …} or {"stale", t}
local f = redis.call('HMGET', KEYS[1], 't', 'sid', 'n', 'v')
if f[1] ~= ARGV[1] or f[2] ~= ARGV[2] or f[3] ~= ARGV[3] then
  return {'stale', f[1] or '0'}
end
local keys
if ARGV[7] == '1' then
  keys = redis.call('ZREVRANGEBYLEX', KEYS[3], ARGV[5], ARGV[4], 'LIMIT', 0, ARGV[6])
else
  keys = redis.call('ZRANGEBYLEX', KEYS[3], ARGV[4], ARGV[5], 'LIMIT', 0, ARGV[6])
end
local out = {'ok', f[4] or '0'}
for i = 1, #keys do
  out[#out + 1] = keys[i]
  out[#out + 1] = redis.call('HGET', KEYS[2], keys[i])
end
return out
