-- Begins the planned move of one object: a place among those in flight, and a token of the bucket.
-- KEYS and the hash as in budget_take.lua
-- ARGV[1] rate, ARGV[2] burst, ARGV[3] in flight (0 = no limit) of the class; the hash's own override them
-- ARGV[4] the object, ARGV[5] ms after which the place is free even if nobody ends the move
-- Reply: 1 begun, 0 no budget now, -1 somebody else is moving this object.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
if redis.call('ZSCORE', KEYS[2], ARGV[4]) or redis.call('ZSCORE', KEYS[3], ARGV[4]) then
  return -1
end
local inflight = tonumber(redis.call('HGET', KEYS[1], 'inflight') or ARGV[3])
if inflight > 0 and redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3]) >= inflight then
  return 0
end
local rate = tonumber(redis.call('HGET', KEYS[1], 'rate') or ARGV[1])
local burst = tonumber(redis.call('HGET', KEYS[1], 'burst') or ARGV[2])
if rate > 0 then
  local at = tonumber(redis.call('HGET', KEYS[1], 'at') or now)
  local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens') or burst)
  tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
  if tokens < 1 then
    return 0
  end
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens - 1), 'at', string.format('%.0f', now))
end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), ARGV[4])
return 1
