-- One move of one object, at the moment a gateway is about to acquire it for another version.
-- KEYS[1] budget of a class, a hash {rate, burst, inflight, tokens, at, taken, released, failed}
-- KEYS[2] moves being released, KEYS[3] moves released and granted: sorted sets by expiry in ms
-- ARGV[1] rate, ARGV[2] burst of the class; the hash's own override them. A rate of 0 is no limit.
-- Reply: 1 taken, 0 none left.
-- A grant was paid for when its release began, so it is used up before the bucket is asked.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local granted = redis.call('ZRANGE', KEYS[3], 0, 0)
if #granted > 0 then
  redis.call('ZREM', KEYS[3], granted[1])
  redis.call('HINCRBY', KEYS[1], 'taken', 1)
  return 1
end
local rate = tonumber(redis.call('HGET', KEYS[1], 'rate') or ARGV[1])
local burst = tonumber(redis.call('HGET', KEYS[1], 'burst') or ARGV[2])
if rate > 0 then
  local at = tonumber(redis.call('HGET', KEYS[1], 'at') or now)
  local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens') or burst)
  tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
  if tokens < 1 then
    redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', now))
    return 0
  end
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens - 1), 'at', string.format('%.0f', now))
end
redis.call('HINCRBY', KEYS[1], 'taken', 1)
return 1
