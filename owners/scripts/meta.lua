-- meta: write the immutable facts of a store that has none, and read them. leases.max only ever grows.
-- KEYS 1 meta
-- ARGV 1 format · 2 number of partitions · 3 hash · 4 leases.max in ms, "0" to leave it
-- Reply "ok", then format, partitions, hash, leases.max.
redis.call('HSETNX', KEYS[1], 'f', ARGV[1])
redis.call('HSETNX', KEYS[1], 'partitions', ARGV[2])
redis.call('HSETNX', KEYS[1], 'hash', ARGV[3])
local m = redis.call('HMGET', KEYS[1], 'f', 'partitions', 'hash', 'max')
if m[1] == ARGV[1] and tonumber(ARGV[4]) > (tonumber(m[4]) or 0) then
  m[4] = ARGV[4]
  redis.call('HSET', KEYS[1], 'max', m[4])
end
return {'ok', m[1], m[2], m[3], m[4] or '0'}
